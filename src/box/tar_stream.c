/* See tar_stream.h; the fields are POSIX ustar's. */
#include "box/tar_stream.h"

#include <string.h>

enum {
    NAME = 0,
    NAME_BYTES = 100,
    SIZE = 124,
    SIZE_BYTES = 12,
    SUM = 148,
    SUM_BYTES = 8,
    TYPE = 156,
    PREFIX = 345,
    PREFIX_BYTES = 155
};

static uint64_t sum_of(const uint8_t *h)
{
    uint64_t sum = 0;
    for (int i = 0; i < TAR_BLOCK_BYTES; i++)
        sum += i >= SUM && i < SUM + SUM_BYTES ? ' ' : h[i];
    return sum;
}

struct err *tar_stream_header(uint8_t out[TAR_BLOCK_BYTES], const char *path, uint64_t size_bytes)
{
    bool large = size_bytes >> 33;
    TRY(tar_header(out, path, large ? 0 : size_bytes, false));
    if (!large)
        return NULL;
    char sum[8];
    memset(out + SIZE, 0, SIZE_BYTES);
    out[SIZE] = 0x80;
    for (int i = 0; i < 8; i++)
        out[SIZE + SIZE_BYTES - 1 - i] = (uint8_t)(size_bytes >> 8 * i);
    snprintf(sum, sizeof sum, "%06llo", (unsigned long long)sum_of(out));
    memcpy(out + SUM, sum, 7);
    return NULL;
}

static bool read_octal(const uint8_t *p, int len, uint64_t *out)
{
    int i = 0, digits = 0;
    *out = 0;
    while (i < len && p[i] == ' ')
        i++;
    for (; i < len && p[i] >= '0' && p[i] <= '7'; i++, digits++)
        *out = *out << 3 | (uint64_t)(p[i] - '0');
    for (; i < len; i++)
        if (p[i] && p[i] != ' ')
            return false;
    return digits > 0 && digits < 21;
}

static bool read_size(const uint8_t *p, uint64_t *out)
{
    if (!(p[0] & 0x80))
        return read_octal(p, SIZE_BYTES, out);
    *out = 0;
    for (int i = 1; i < SIZE_BYTES; i++) {
        if (*out >> 48)
            return false;
        *out = *out << 8 | p[i];
    }
    return p[0] == 0x80;
}

static bool name_plain(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z') || (p[i] >= '0' && p[i] <= '9') ||
              p[i] == '.' || p[i] == '_' || p[i] == '-'))
            return false;
    return len && p[0] != '.';
}

static bool path_plain(const char *path)
{
    size_t first = strcspn(path, "/");
    return name_plain(path, first) &&
           (!path[first] || name_plain(path + first + 1, strlen(path + first + 1)));
}

static struct err *wrong(const char *what)
{
    return err_new(ERR_CONFIG, "this is no archive of a backup: %s", what);
}

struct err *tar_stream_read(const uint8_t h[TAR_BLOCK_BYTES], struct tar_stream_entry *out)
{
    uint64_t sum;
    char path[NAME_BYTES + 1], *from = path;
    *out = (struct tar_stream_entry){0};
    out->end = true;
    for (int i = 0; i < TAR_BLOCK_BYTES && out->end; i++)
        out->end = !h[i];
    if (out->end)
        return NULL;
    if (!read_octal(h + SUM, SUM_BYTES, &sum) || sum != sum_of(h))
        return wrong("a header's checksum does not fit");
    if ((h[TYPE] && h[TYPE] != '0' && h[TYPE] != '5') || h[PREFIX])
        return wrong("it holds something else than plain files");
    memcpy(path, h + NAME, NAME_BYTES);
    path[NAME_BYTES] = 0;
    from += strncmp(from, "./", 2) == 0 ? 2 : 0;
    out->folder = h[TYPE] == '5';
    size_t len = strlen(from);
    if (out->folder && len && from[len - 1] == '/')
        from[len - 1] = 0;
    if (out->folder && !*from) /* "./": the top itself */
        return NULL;
    if (!path_plain(from))
        return wrong("the path of a file");
    if (!read_size(h + SIZE, &out->size_bytes) || (out->folder && out->size_bytes))
        return wrong("the size of a file");
    memcpy(out->path, from, strlen(from) + 1);
    return NULL;
}
