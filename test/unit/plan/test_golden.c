/* Every test/golden/NAME.sql planned, its plan or errors compared with NAME.out. */
#include "test.h"

#include "plan/golden_read.h"

#include <dirent.h>

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    struct buf b = {0};
    char chunk[4096];
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), f)) > 0;)
        buf_put(&b, chunk, n);
    fclose(f);
    buf_put_u8(&b, 0);
    return (char *)b.p;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    CHECK(f != NULL);
    if (f) {
        fputs(text, f);
        fclose(f);
    }
}

static void check_golden(const char *name)
{
    char sql_path[512], out_path[512];
    snprintf(sql_path, sizeof(sql_path), "test/golden/%s", name);
    snprintf(out_path, sizeof(out_path), "test/golden/%.*s.out", (int)(strlen(name) - 4), name);
    char *sql = read_file(sql_path);
    CHECK(sql != NULL);
    if (!sql)
        return;
    struct golden g;
    golden_init(&g, sql);
    char *got = golden_run(&g, name);
    if (getenv("GOLDEN_WRITE")) {
        write_file(out_path, got);
    } else {
        char *want = read_file(out_path);
        printf("# %s\n", name);
        CHECK_STR(got, want ? want : "");
        free(want);
    }
    golden_fini(&g);
    free(got);
    free(sql);
}

static int is_sql(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n > 4 && strcmp(d->d_name + n - 4, ".sql") == 0;
}

static void golden_plans(void)
{
    struct dirent **files;
    int n = scandir("test/golden", &files, is_sql, alphasort);
    CHECK(n > 0);
    for (int i = 0; i < n; i++) {
        check_golden(files[i]->d_name);
        free(files[i]);
    }
    if (n >= 0)
        free(files);
}

int main(void)
{
    RUN(golden_plans);
    TEST_END();
}
