/* Whole reads and writes. That parts and interruptions are gone on from is shown by the simulation (test/unit/flow/test_faults.c), which
 * makes them. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/test.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void what_is_written_is_read(void)
{
    char name[] = "/tmp/penstock-test-XXXXXX", got[16] = "";
    int fd = mkstemp(name);
    CHECK(fd >= 0);
    CHECK(file_write_at(fd, "hello", 5, 3) == 0);
    CHECK(file_read_at(fd, got, 8, 0) == 8);
    CHECK(memcmp(got, "\0\0\0hello", 8) == 0);
    CHECK(file_read_at(fd, got, sizeof got, 6) == 2); /* the end of the file is no error */
    CHECK(file_read_at(fd, got, sizeof got, 100) == 0);
    CHECK(file_write_at(fd, "", 0, 0) == 0);
    close(fd);
    unlink(name);
}

static void failures_are_told(void)
{
    char got[4];
    CHECK(file_read_at(-1, got, sizeof got, 0) == -1 && errno == EBADF);
    CHECK(file_write_at(-1, "x", 1, 0) == EBADF);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    CHECK(full >= 0 && file_write_at(full, "x", 1, 0) == ENOSPC);
    close(full);
}

int main(void)
{
    RUN(what_is_written_is_read);
    RUN(failures_are_told);
    TEST_END();
}
