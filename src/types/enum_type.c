/* The process's list of enum types; see enum_type.h. */
#include "types/enum_type.h"

#include "types/func_kernel.h"

#include <pthread.h>
#include <stdlib.h>

/* A slot is written once under the lock and found by readers through `count`; only its definition is replaced. */
struct slot {
    char *name, *array_name; /* owned by the process */
    struct type_info info, array_info;
    int origin;                 /* atomic: enum enum_origin */
    const struct enum_def *def; /* atomic */
};
static struct slot slots[ENUM_TYPES_MAX];
static uint32_t slot_count; /* atomic */
static pthread_mutex_t put_lock = PTHREAD_MUTEX_INITIALIZER;

static uint32_t known_slots(void)
{
    return __atomic_load_n(&slot_count, __ATOMIC_ACQUIRE);
}

const struct type_info *enum_type_info(enum type_id id)
{
    uint32_t i = (uint32_t)(type_is_array(id) ? type_element(id) : id) - T_ENUMS;
    ASSERT(i < known_slots());
    return type_is_array(id) ? &slots[i].array_info : &slots[i].info;
}

const struct enum_def *enum_type_def(enum type_id id)
{
    ASSERT(type_is_enum(id) && (uint32_t)id - T_ENUMS < known_slots());
    return __atomic_load_n(&slots[id - T_ENUMS].def, __ATOMIC_ACQUIRE);
}

/* ---- definitions ---- */

/* Bytes whose order is the floats' order, as in data/key.c. */
static void put_order(uint8_t *p, float order)
{
    uint32_t bits;
    if (order == 0)
        order = 0;
    memcpy(&bits, &order, sizeof bits);
    bits = bits >> 31 ? ~bits : bits | UINT32_C(1) << 31;
    bits = __builtin_bswap32(bits);
    memcpy(p, &bits, sizeof bits);
}

static struct str value_new(const struct enum_label *label)
{
    size_t len = strlen(label->text);
    uint8_t *p = xmalloc(ENUM_ORDER_BYTES + len);
    put_order(p, label->order);
    memcpy(p + ENUM_ORDER_BYTES, label->text, len);
    return (struct str){p, (uint32_t)(ENUM_ORDER_BYTES + len), 0};
}

static int by_order(const void *a, const void *b)
{
    float x = ((const struct enum_label *)a)->order, y = ((const struct enum_label *)b)->order;
    return (x > y) - (x < y);
}

static int compare_text(struct str value, const char *text, size_t len)
{
    struct str label = enum_value_label(value);
    size_t common = label.len < len ? label.len : len;
    int r = common ? memcmp(label.p, text, common) : 0;
    return r ? r : (label.len > len) - (label.len < len);
}

static void sort_by_text(const struct str *values, uint32_t *places, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) { /* once per definition; few labels */
        uint32_t at = i;
        struct str label = enum_value_label(values[i]);
        for (; at > 0 && compare_text(values[places[at - 1]], (const char *)label.p, label.len) > 0; at--)
            places[at] = places[at - 1];
        places[at] = i;
    }
}

static const struct enum_def *def_new(const char *name, const struct enum_desc *desc,
                                      const struct enum_def *earlier)
{
    struct enum_def *d = xcalloc(1, sizeof *d); /* kept for the process, as all that it points to */
    struct enum_label *labels = xcalloc(desc->count + 1, sizeof *labels);
    struct str *values = xcalloc(desc->count + 1, sizeof *values);
    uint32_t *by_text = xcalloc(desc->count + 1, sizeof *by_text);
    for (uint32_t i = 0; i < desc->count; i++)
        labels[i] = (struct enum_label){xstrdup(desc->labels[i].text), desc->labels[i].order};
    if (desc->count)
        qsort(labels, desc->count, sizeof *labels, by_order);
    for (uint32_t i = 0; i < desc->count; i++)
        values[i] = value_new(&labels[i]);
    sort_by_text(values, by_text, desc->count);
    *d = (struct enum_def){name, {desc->oid, desc->count, labels}, values, by_text, earlier};
    return d;
}

int64_t enum_label_find(const struct enum_def *def, const char *text, size_t len)
{
    uint32_t low = 0, high = def->desc.count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        int r = compare_text(def->values[def->by_text[mid]], text, len);
        if (r == 0)
            return def->by_text[mid];
        if (r < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return -1;
}

/* ---- the list ---- */

static struct slot *slot_find(const char *name)
{
    for (uint32_t i = 0; i < known_slots(); i++)
        if (strcmp(slots[i].name, name) == 0)
            return &slots[i];
    return NULL;
}

static struct slot *slot_add(const char *name)
{
    uint32_t i = known_slots();
    if (i == ENUM_TYPES_MAX)
        return NULL;
    struct slot *s = &slots[i];
    s->name = xstrdup(name);
    s->array_name = xprintf("%s[]", name);
    s->info = (struct type_info){.id = (enum type_id)(T_ENUMS + i),
                                 .name = s->name,
                                 .pg_name = s->name,
                                 .category = 'E',
                                 .phys = PHYS_STR,
                                 .comparable = true,
                                 .json_schema_type = "string"};
    s->array_info = (struct type_info){.id = (enum type_id)(T_ENUM_ARRAYS + i),
                                       .name = s->array_name,
                                       .pg_name = s->array_name,
                                       .category = 'A',
                                       .phys = PHYS_STR,
                                       .comparable = true,
                                       .json_schema_type = "array"};
    return s;
}

enum type_id enum_type_put(const char *name, const struct enum_desc *desc, enum enum_origin origin)
{
    ASSERT(strchr(name, '.'));
    pthread_mutex_lock(&put_lock);
    struct slot *old = slot_find(name), *s = old ? old : slot_add(name);
    if (s && (!old || (int)origin >= s->origin)) {
        if (!old || enum_compare(&s->def->desc, desc) != ENUM_SAME)
            __atomic_store_n(&s->def, def_new(s->name, desc, old ? old->def : NULL), __ATOMIC_RELEASE);
        __atomic_store_n(&s->origin, (int)origin, __ATOMIC_RELAXED);
    }
    if (s && !old)
        __atomic_store_n(&slot_count, slot_count + 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&put_lock);
    return s ? s->info.id : T_UNKNOWN;
}

/* What SQL may mean by part of a name: where sources have spoken, types of an older catalog do not count. */
static bool is_from_source(uint32_t i)
{
    return __atomic_load_n(&slots[i].origin, __ATOMIC_RELAXED) == ENUM_FROM_SOURCE;
}
static bool is_current(uint32_t i)
{
    bool spoken = false;
    for (uint32_t k = 0; k < known_slots(); k++)
        spoken |= is_from_source(k);
    return !spoken || is_from_source(i);
}

static bool ends_so(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && name[n - m - 1] == '.' && strcmp(name + n - m, end) == 0;
}

enum type_id enum_type_find(const char *name, bool *several)
{
    const struct slot *s = slot_find(name);
    *several = false;
    for (uint32_t i = 0; !s && i < known_slots(); i++)
        if (ends_so(slots[i].name, name) && is_current(i)) {
            for (uint32_t k = i + 1; k < known_slots(); k++)
                *several |= ends_so(slots[k].name, name) && is_current(k);
            s = &slots[i];
        }
    return s && !*several ? s->info.id : T_UNKNOWN;
}

/* ---- descriptions ---- */

static const struct enum_label *label_of(const struct enum_desc *d, const char *text)
{
    for (uint32_t i = 0; i < d->count; i++)
        if (strcmp(d->labels[i].text, text) == 0)
            return &d->labels[i];
    return NULL;
}

enum enum_change enum_compare(const struct enum_desc *was, const struct enum_desc *now)
{
    if (was->oid != now->oid)
        return ENUM_CHANGED;
    for (uint32_t i = 0; i < was->count; i++) {
        const struct enum_label *l = label_of(now, was->labels[i].text);
        if (!l || l->order < was->labels[i].order || l->order > was->labels[i].order)
            return ENUM_CHANGED;
    }
    return was->count == now->count ? ENUM_SAME : ENUM_EXTENDED;
}

void enum_pack(struct buf *out, const struct enum_desc *d)
{
    buf_put(out, &d->oid, sizeof d->oid);
    for (uint32_t i = 0; i < d->count; i++) {
        buf_put(out, &d->labels[i].order, sizeof d->labels[i].order);
        buf_put(out, d->labels[i].text, strlen(d->labels[i].text) + 1);
    }
}

bool enum_unpack(struct arena *arena, const uint8_t *p, size_t len, struct enum_desc *out)
{
    const uint8_t *end = p + len;
    struct enum_label *labels = ARENA_ARRAY(arena, struct enum_label, len / 5 + 1);
    *out = (struct enum_desc){.labels = labels};
    if (len < sizeof out->oid)
        return false;
    memcpy(&out->oid, p, sizeof out->oid);
    for (p += sizeof out->oid; p < end; out->count++) {
        struct enum_label *l = &labels[out->count];
        const uint8_t *zero = end - p > 4 ? memchr(p + 4, 0, (size_t)(end - p - 4)) : NULL;
        if (!zero)
            return false;
        memcpy(&l->order, p, sizeof l->order);
        l->text = arena_strdup(arena, (const char *)p + 4);
        p = zero + 1;
    }
    return true;
}

/* ---- text ---- */

bool input_enum(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    const struct enum_def *def = enum_type_def(t.id);
    int64_t at = enum_label_find(def, text, len);
    if (at < 0)
        return fn_fail(ctx, FN_BAD_TEXT, "invalid input value for enum %s: \"%.*s\"",
                       strchr(def->name, '.') + 1, (int)len, text);
    out->s = def->values[at];
    return true;
}

struct str output_enum(struct fn_ctx *ctx KERNEL_UNUSED, const union val *v)
{
    return enum_value_label(v->s);
}

bool cast_enum_text(KERNEL_ARGS)
{
    out->s = enum_value_label(args[0].s);
    return true;
}

bool cast_text_enum(KERNEL_ARGS)
{
    const struct type t = {(enum type_id)ctx->types[0], -1};
    return input_enum(ctx, t, (const char *)args[0].s.p, args[0].s.len, out);
}
