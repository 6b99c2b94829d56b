/* See proto.h. */
#include "serve/proto.h"
#include "base/text.h"

/* ---- writing ---- */

void proto_put_fixed32(struct buf *b, uint32_t v)
{
    uint8_t *p = buf_room(b, 4);
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
    b->len += 4;
}

void proto_put_fixed64(struct buf *b, uint64_t v)
{
    uint8_t *p = buf_room(b, 8);
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
    b->len += 8;
}

void proto_put_float(struct buf *b, uint32_t number, double v)
{
    float f = (float)v;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    buf_put_varint(b, proto_tag(number, WIRE_FIXED32));
    proto_put_fixed32(b, bits);
}

void proto_put_double(struct buf *b, uint32_t number, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    buf_put_varint(b, proto_tag(number, WIRE_FIXED64));
    proto_put_fixed64(b, bits);
}

/* Room for a length of one byte, which is what most need; proto_end moves what came in between otherwise. */
size_t proto_begin(struct buf *b, uint32_t number)
{
    buf_put_varint(b, proto_tag(number, WIRE_BYTES));
    buf_put_u8(b, 0);
    return b->len;
}

void proto_end(struct buf *b, size_t at)
{
    size_t len = b->len - at, more = 0;
    for (size_t rest = len >> 7; rest; rest >>= 7)
        more++;
    if (more) {
        buf_room(b, more);
        memmove(b->p + at + more, b->p + at, len);
        b->len += more;
    }
    for (size_t i = 0; i <= more; i++, len >>= 7)
        b->p[at - 1 + i] = (uint8_t)((len & 0x7F) | (i < more ? 0x80 : 0));
}

size_t grpc_begin(struct buf *b)
{
    memset(buf_room(b, 5), 0, 5);
    b->len += 5;
    return b->len;
}

void grpc_end(struct buf *b, size_t at)
{
    size_t len = b->len - at;
    ASSERT(len <= UINT32_MAX);
    for (size_t i = 0; i < 4; i++)
        b->p[at - 4 + i] = (uint8_t)(len >> (24 - 8 * i));
}

/* ---- reading ---- */

static bool malformed(struct proto_reader *r)
{
    r->bad = true;
    r->p = r->end;
    return false;
}

static bool fixed(struct proto_reader *r, size_t n, uint64_t *out)
{
    if ((size_t)(r->end - r->p) < n)
        return malformed(r);
    *out = 0;
    for (size_t i = 0; i < n; i++)
        *out |= (uint64_t)r->p[i] << (8 * i);
    r->p += n;
    return true;
}

static bool bytes(struct proto_reader *r, struct slice *out)
{
    uint64_t len;
    if (!varint_get(&r->p, r->end, &len) || len > (size_t)(r->end - r->p))
        return malformed(r);
    *out = (struct slice){r->p, (size_t)len};
    r->p += len;
    return true;
}

static bool tag(struct proto_reader *r, uint32_t *number, enum proto_wire *wire)
{
    uint64_t t;
    if (!varint_get(&r->p, r->end, &t) || t > UINT32_MAX || t >> 3 == 0 || (t & 7) > WIRE_FIXED32)
        return malformed(r);
    *number = (uint32_t)(t >> 3);
    *wire = (enum proto_wire)(t & 7);
    return true;
}

static bool value(struct proto_reader *r, enum proto_wire wire, uint64_t *u, struct slice *s)
{
    switch (wire) {
    case WIRE_VARINT: return varint_get(&r->p, r->end, u) || malformed(r);
    case WIRE_FIXED64: return fixed(r, 8, u);
    case WIRE_FIXED32: return fixed(r, 4, u);
    case WIRE_BYTES: return bytes(r, s);
    default: return malformed(r); /* the end of a group that has not begun */
    }
}

static bool group_skip(struct proto_reader *r, uint32_t number)
{
    uint32_t open[PROTO_DEPTH_MAX], depth = 0, n;
    enum proto_wire wire;
    uint64_t u;
    struct slice s;
    open[depth++] = number;
    while (depth) {
        if (!tag(r, &n, &wire))
            return false;
        if (wire == WIRE_GROUP_END) {
            if (open[--depth] != n)
                return malformed(r);
        } else if (wire == WIRE_GROUP) {
            if (depth == PROTO_DEPTH_MAX)
                return malformed(r);
            open[depth++] = n;
        } else if (!value(r, wire, &u, &s)) {
            return false;
        }
    }
    return true;
}

bool proto_next(struct proto_reader *r, struct proto_field_in *f)
{
    *f = (struct proto_field_in){0};
    while (r->p < r->end) {
        if (!tag(r, &f->number, &f->wire))
            return false;
        if (f->wire != WIRE_GROUP)
            return value(r, f->wire, &f->u, &f->s);
        if (!group_skip(r, f->number))
            return false;
    }
    return false;
}

bool proto_text(struct proto_reader *r, const struct proto_field_in *f, struct slice *out)
{
    if (f->wire != WIRE_BYTES || !utf8_valid(f->s.p, f->s.len) || (f->s.len && memchr(f->s.p, 0, f->s.len)))
        return malformed(r);
    *out = f->s;
    return true;
}

bool proto_uint(struct proto_reader *r, const struct proto_field_in *f, uint64_t *out)
{
    if (f->wire != WIRE_VARINT)
        return malformed(r);
    *out = f->u;
    return true;
}
