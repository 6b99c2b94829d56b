/* Polymorphic signatures: which types anyarray, anyelement and their like stand for in one call.
 *
 * As PostgreSQL's enforce_generic_type_consistency (parse_coerce.c): anyelement and anyarray are one type and its
 * array, exactly as they come; anyrange and anymultirange go by
 * the type of their bounds, which anyelement then is; anycompatible and anycompatiblearray are the type that all of them meet in, to
 * which they are then coerced. A literal without a type fits everywhere and decides nothing. */
#include "sql/bind.h"

bool is_polymorphic(enum type_id id)
{
    return id >= T_ANYELEMENT && id < T_ANY_END;
}

struct solution {
    enum type_id element, array; /* of anyelement and anyarray; T_UNKNOWN: not known */
    enum type_id range, multirange;
    enum type_id compatible;
    bool has_compatible, has_compatible_array;
};

static bool agree(enum type_id *known, enum type_id id)
{
    if (*known == T_UNKNOWN)
        *known = id;
    return *known == id;
}

/* What one argument says; false when it cannot be. */
static bool take_argument(struct solution *s, enum type_id declared, enum type_id actual)
{
    bool wants_array = declared == T_ANYARRAY || declared == T_ANYCOMPATIBLEARRAY;
    s->has_compatible |= declared == T_ANYCOMPATIBLE || declared == T_ANYCOMPATIBLEARRAY;
    s->has_compatible_array |= declared == T_ANYCOMPATIBLEARRAY;
    if (actual == T_UNKNOWN)
        return true;
    if (wants_array && !type_is_array(actual))
        return false;
    switch (declared) {
    case T_ANYRANGE: return type_is_range(actual) && agree(&s->range, actual);
    case T_ANYMULTIRANGE: return type_is_multirange(actual) && agree(&s->multirange, actual);
    case T_ANYENUM: return type_is_enum(actual) && agree(&s->element, actual);
    case T_ANYELEMENT: return agree(&s->element, actual);
    case T_ANYARRAY: return agree(&s->array, actual);
    case T_ANYCOMPATIBLE: return coerce_common_step(&s->compatible, actual);
    case T_ANYCOMPATIBLEARRAY: return coerce_common_step(&s->compatible, type_element(actual));
    default: return true;
    }
}

static bool complete_ranges(struct solution *s)
{
    if (s->multirange != T_UNKNOWN && !agree(&s->range, type_range(s->multirange)))
        return false;
    if (s->range == T_UNKNOWN)
        return true;
    s->multirange = type_multirange(s->range);
    return agree(&s->element, type_bound(s->range));
}

static bool complete(struct solution *s)
{
    if (!complete_ranges(s))
        return false;
    if (s->array != T_UNKNOWN)
        return agree(&s->element, type_element(s->array));
    if (s->element != T_UNKNOWN && !type_is_array(s->element))
        s->array = type_array(s->element);
    if (s->has_compatible && s->compatible == T_UNKNOWN)
        s->compatible = T_TEXT;
    return true;
}

/* T_UNKNOWN: it cannot be told. */
static enum type_id concrete(const struct solution *s, enum type_id declared)
{
    switch (declared) {
    case T_ANYENUM:
    case T_ANYELEMENT: return s->element;
    case T_ANYARRAY: return s->array;
    case T_ANYRANGE: return s->range;
    case T_ANYMULTIRANGE: return s->multirange;
    case T_ANYCOMPATIBLE: return s->compatible;
    case T_ANYCOMPATIBLEARRAY: return type_is_array(s->compatible) ? T_UNKNOWN : type_array(s->compatible);
    default: return declared;
    }
}

static enum type_id declared_type(const uint8_t *declared, uint32_t declared_count, uint32_t i)
{
    return (enum type_id)declared[i < declared_count ? i : declared_count - 1];
}

bool polymorphic_fits(const uint8_t *declared, uint32_t declared_count, uint32_t count,
                      const enum type_id *actual, enum type_id *out)
{
    struct solution s = {0}; /* T_UNKNOWN is 0 */
    for (uint32_t i = 0; i < count; i++)
        if (!take_argument(&s, declared_type(declared, declared_count, i), actual[i]))
            return false;
    if (!complete(&s) || (s.has_compatible_array && type_is_array(s.compatible)))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        enum type_id d = declared_type(declared, declared_count, i), c = concrete(&s, d);
        if (is_polymorphic(d) && c != T_UNKNOWN && !coerce_possible(actual[i], c, CAST_IMPLICIT))
            return false;
        if (out)
            out[i] = c;
    }
    return true;
}

enum type_id polymorphic_result(const uint8_t *declared, uint32_t declared_count, uint32_t count,
                                const enum type_id *actual, enum type_id result)
{
    struct solution s = {0}; /* T_UNKNOWN is 0 */
    for (uint32_t i = 0; i < count; i++)
        take_argument(&s, declared_type(declared, declared_count, i), actual[i]);
    return complete(&s) ? concrete(&s, result) : T_UNKNOWN;
}
