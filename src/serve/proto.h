/* Protocol Buffers' wire format: fields written into a buf, and read from bytes that anybody may have sent.
 *
 * Written from the specification of the encoding (protobuf.dev/programming-guides/encoding). Reading copies nothing: bytes
 * are borrowed from the message. Any thread. */
#ifndef PENSTOCK_SERVE_PROTO_H
#define PENSTOCK_SERVE_PROTO_H

#include "base/buf.h"
#include "store/store.h"

#define PROTO_DEPTH_MAX 32 /* groups inside each other, in fields that nobody knows */

enum proto_wire { WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES, WIRE_GROUP, WIRE_GROUP_END, WIRE_FIXED32 };

/* ---- writing ---- */

static inline uint32_t proto_tag(uint32_t number, enum proto_wire wire)
{
    return number << 3 | (uint32_t)wire;
}
static inline void proto_put_uint(struct buf *b, uint32_t number, uint64_t v)
{
    buf_put_varint(b, proto_tag(number, WIRE_VARINT));
    buf_put_varint(b, v);
}
static inline void proto_put_bytes(struct buf *b, uint32_t number, const void *p, size_t len)
{
    buf_put_varint(b, proto_tag(number, WIRE_BYTES));
    buf_put_varint(b, len);
    buf_put(b, p, len);
}
static inline void proto_put_text(struct buf *b, uint32_t number, const char *s)
{
    proto_put_bytes(b, number, s, strlen(s));
}
void proto_put_fixed32(struct buf *b, uint32_t v); /* without a tag */
void proto_put_fixed64(struct buf *b, uint64_t v);
void proto_put_float(struct buf *b, uint32_t number, double v);
void proto_put_double(struct buf *b, uint32_t number, double v);
/* A message, or packed numbers, inside another one: what is put between begin and end. Returns where it begins. */
size_t proto_begin(struct buf *b, uint32_t number);
void proto_end(struct buf *b, size_t at);
/* A message of gRPC's stream, with its prefix: not compressed, so many bytes. */
size_t grpc_begin(struct buf *b);
void grpc_end(struct buf *b, size_t at);

/* ---- reading ---- */

struct proto_reader {
    const uint8_t *p, *end;
    bool bad; /* malformed: nothing that was read holds */
};
struct proto_field_in {
    uint32_t number;
    enum proto_wire wire; /* never a group */
    uint64_t u;           /* WIRE_VARINT, WIRE_FIXED64, WIRE_FIXED32 */
    struct slice s;       /* WIRE_BYTES */
};
static inline struct proto_reader proto_reader_of(struct slice s)
{
    return (struct proto_reader){s.p, s.len ? s.p + s.len : s.p, false};
}
/* The next field; groups are passed over. False at the end, and when the rest is malformed. */
bool proto_next(struct proto_reader *r, struct proto_field_in *f);
/* Text of a field that is a string. False, with the reader bad: another wire type, no UTF-8, or a NUL in it. */
bool proto_text(struct proto_reader *r, const struct proto_field_in *f, struct slice *out);
/* A number sent as varint; else the reader is bad. */
bool proto_uint(struct proto_reader *r, const struct proto_field_in *f, uint64_t *out);

#endif
