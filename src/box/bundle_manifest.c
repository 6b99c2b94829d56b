/* See bundle_manifest.h. */
#include "box/bundle_manifest.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

const char *bundle_kind_name(enum bundle_kind kind)
{
    return kind == BUNDLE_IMAGE ? "image" : "configuration";
}

void bundle_manifest_fini(struct bundle_manifest *m)
{
    free(m->chunks);
    m->chunks = NULL;
    m->chunk_count = 0;
}

size_t bundle_chunk_plain(const struct bundle_manifest *m, uint32_t chunk)
{
    const uint64_t at = (uint64_t)chunk * BUNDLE_CHUNK_BYTES, left = m->payload_bytes - at;
    return left < BUNDLE_CHUNK_BYTES ? (size_t)left : BUNDLE_CHUNK_BYTES;
}

/* ---- reading ---- */

static struct err *bad(const char *what)
{
    return err_new(ERR_CORRUPT, "the bundle's manifest: %s", what);
}

static struct err *get_text(yyjson_val *root, const char *key, bool needed, char out[BUNDLE_TEXT_MAX + 1])
{
    yyjson_val *v = yyjson_obj_get(root, key);
    out[0] = 0;
    if (!v && !needed)
        return NULL;
    const char *text = yyjson_get_str(v);
    size_t len = yyjson_get_len(v);
    if (!text || len > BUNDLE_TEXT_MAX || (needed && !len))
        return bad(key);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= 32 || (unsigned char)text[i] >= 127)
            return bad(key);
    memcpy(out, text, len);
    out[len] = 0;
    return NULL;
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool get_sum(yyjson_val *v, uint8_t out[BUNDLE_SHA256_BYTES])
{
    const char *text = yyjson_get_str(v);
    if (!text || yyjson_get_len(v) != 2 * BUNDLE_SHA256_BYTES)
        return false;
    for (int i = 0; i < BUNDLE_SHA256_BYTES; i++) {
        int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static struct err *get_format(yyjson_val *root, const char *key, uint32_t *out)
{
    yyjson_val *v = yyjson_obj_get(root, key);
    if (!yyjson_is_uint(v) || yyjson_get_uint(v) > 1000000)
        return bad(key);
    *out = (uint32_t)yyjson_get_uint(v);
    return NULL;
}

static struct err *get_chunks(yyjson_val *list, struct bundle_manifest *m)
{
    const uint64_t count = (m->payload_bytes + BUNDLE_CHUNK_BYTES - 1) / BUNDLE_CHUNK_BYTES;
    size_t i, most;
    yyjson_val *v;
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) != count)
        return bad("chunks");
    m->chunks = xcalloc(count, sizeof *m->chunks);
    m->chunk_count = (uint32_t)count;
    yyjson_arr_foreach(list, i, most, v)
    {
        yyjson_val *bytes = yyjson_arr_get(v, 0);
        if (yyjson_arr_size(v) != 2 || !yyjson_is_uint(bytes) || yyjson_get_uint(bytes) == 0 ||
            yyjson_get_uint(bytes) > BUNDLE_CHUNK_STORED_MAX ||
            !get_sum(yyjson_arr_get(v, 1), m->chunks[i].sha256))
            return bad("chunks");
        m->chunks[i].stored_bytes = (uint32_t)yyjson_get_uint(bytes);
    }
    return NULL;
}

static struct err *get_payload(yyjson_val *payload, struct bundle_manifest *m)
{
    yyjson_val *bytes = yyjson_obj_get(payload, "bytes"), *chunk = yyjson_obj_get(payload, "chunk_bytes");
    const uint64_t most = m->kind == BUNDLE_IMAGE ? BUNDLE_IMAGE_BYTES_MAX : BUNDLE_CONFIG_BYTES_MAX;
    if (!yyjson_is_uint(bytes) || yyjson_get_uint(bytes) == 0 || yyjson_get_uint(bytes) > most)
        return bad("payload.bytes");
    if (!yyjson_is_uint(chunk) || yyjson_get_uint(chunk) != BUNDLE_CHUNK_BYTES)
        return bad("payload.chunk_bytes");
    m->payload_bytes = yyjson_get_uint(bytes);
    if (!get_sum(yyjson_obj_get(payload, "sha256"), m->sha256))
        return bad("payload.sha256");
    return get_chunks(yyjson_obj_get(payload, "chunks"), m);
}

static struct err *get_all(yyjson_val *root, struct bundle_manifest *m)
{
    const char *kind = yyjson_get_str(yyjson_obj_get(root, "kind"));
    if (yyjson_get_uint(yyjson_obj_get(root, "penstock_bundle")) != BUNDLE_FORMAT)
        return bad("it is of another format");
    if (!kind || (strcmp(kind, "image") != 0 && strcmp(kind, "configuration") != 0))
        return bad("kind");
    m->kind = strcmp(kind, "image") == 0 ? BUNDLE_IMAGE : BUNDLE_CONFIG;
    const bool image = m->kind == BUNDLE_IMAGE;
    TRY(get_text(root, "version", image, m->version));
    TRY(get_text(root, "build", image, m->build));
    TRY(get_text(root, "board", image, m->board));
    TRY(get_text(root, "created", true, m->created));
    if (image) {
        TRY(get_format(root, "store_format", &m->store_format));
        TRY(get_format(root, "store_format_oldest", &m->store_format_oldest));
        if (m->store_format_oldest > m->store_format)
            return bad("store_format_oldest");
    }
    return get_payload(yyjson_obj_get(root, "payload"), m);
}

struct err *bundle_manifest_parse(const void *text, size_t len, struct bundle_manifest *m)
{
    *m = (struct bundle_manifest){0};
    yyjson_doc *doc = yyjson_read(text, len, 0);
    struct err *e = doc ? get_all(yyjson_doc_get_root(doc), m) : bad("it is no JSON");
    yyjson_doc_free(doc);
    return e;
}

/* ---- writing ---- */

static yyjson_mut_val *sum_text(yyjson_mut_doc *d, const uint8_t sum[BUNDLE_SHA256_BYTES])
{
    char text[2 * BUNDLE_SHA256_BYTES + 1];
    for (int i = 0; i < BUNDLE_SHA256_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", sum[i]);
    return yyjson_mut_strcpy(d, text);
}

static void put_payload(yyjson_mut_doc *d, yyjson_mut_val *root, const struct bundle_manifest *m)
{
    yyjson_mut_val *payload = yyjson_mut_obj_add_obj(d, root, "payload");
    yyjson_mut_obj_add_uint(d, payload, "bytes", m->payload_bytes);
    yyjson_mut_obj_add_uint(d, payload, "chunk_bytes", BUNDLE_CHUNK_BYTES);
    yyjson_mut_obj_add_val(d, payload, "sha256", sum_text(d, m->sha256));
    yyjson_mut_val *chunks = yyjson_mut_obj_add_arr(d, payload, "chunks");
    for (uint32_t i = 0; i < m->chunk_count; i++) {
        yyjson_mut_val *chunk = yyjson_mut_arr_add_arr(d, chunks);
        yyjson_mut_arr_add_uint(d, chunk, m->chunks[i].stored_bytes);
        yyjson_mut_arr_add_val(chunk, sum_text(d, m->chunks[i].sha256));
    }
}

char *bundle_manifest_text(const struct bundle_manifest *m, size_t *len)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, root);
    yyjson_mut_obj_add_uint(d, root, "penstock_bundle", BUNDLE_FORMAT);
    yyjson_mut_obj_add_str(d, root, "kind", bundle_kind_name(m->kind));
    yyjson_mut_obj_add_str(d, root, "version", m->version);
    if (m->kind == BUNDLE_IMAGE) {
        yyjson_mut_obj_add_str(d, root, "build", m->build);
        yyjson_mut_obj_add_str(d, root, "board", m->board);
        yyjson_mut_obj_add_str(d, root, "arch", "aarch64");
        yyjson_mut_obj_add_uint(d, root, "store_format", m->store_format);
        yyjson_mut_obj_add_uint(d, root, "store_format_oldest", m->store_format_oldest);
    }
    yyjson_mut_obj_add_str(d, root, "created", m->created);
    put_payload(d, root, m);
    char *text = yyjson_mut_write(d, 0, len);
    if (!text)
        PANIC("a manifest cannot be written");
    yyjson_mut_doc_free(d);
    return text;
}
