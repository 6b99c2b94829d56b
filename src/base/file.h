/* Reading and writing all of what was asked for: a call may do a part, or be interrupted, and that is no damage. Small files of
 * text, such as the kernel's. */
#ifndef PENSTOCK_BASE_FILE_H
#define PENSTOCK_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* Bytes read: fewer only at the end of the file. -1 and errno. */
ssize_t file_read_at(int fd, void *p, size_t len, off_t at);
/* 0, or errno. A part may be written then. */
int file_write_at(int fd, const void *p, size_t len, off_t at);

/* The start of a file of text, up to size - 1 bytes, and a 0 byte. Its length; 0: it is empty, or cannot be read (errno). */
size_t file_text(const char *path, char *out, size_t size);

#endif
