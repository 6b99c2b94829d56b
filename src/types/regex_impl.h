/* Inside of the regular expressions: what the parser hands to the tree builder, and that to the matcher. */
#ifndef PENSTOCK_TYPES_REGEX_IMPL_H
#define PENSTOCK_TYPES_REGEX_IMPL_H

#include "types/regex.h"

#define RX_REPEAT_MAX 255 /* as PostgreSQL's DUPMAX */
#define RX_ENDLESS    UINT32_MAX

struct rx_range {
    uint32_t from, to;
};
struct rx_set {      /* of characters */
    uint64_t low[2]; /* below 128 */
    uint32_t count;  /* ranges of the others, in order */
    const struct rx_range *ranges;
};
static inline bool rx_set_has(const struct rx_set *s, uint32_t c)
{
    if (c < 128)
        return s->low[c >> 6] >> (c & 63) & 1;
    for (uint32_t i = 0; i < s->count && s->ranges[i].from <= c; i++)
        if (c <= s->ranges[i].to)
            return true;
    return false;
}

enum rx_assert {
    RX_TEXT_START,
    RX_TEXT_END,
    RX_LINE_START,
    RX_LINE_END,
    RX_WORD_START,
    RX_WORD_END,
    RX_WORD_EDGE,
    RX_WORD_NO_EDGE
};
enum rx_kind { RX_SET, RX_GROUP, RX_BACKREF, RX_ASSERT, RX_LOOK, RX_CAT, RX_ALT, RX_EMPTY };
/* A preference is a set of these; a part with none has one length, or prefers nothing. */
enum rx_prefer { RX_LONG = 1, RX_SHORT = 2, RX_MIXED = 4, RX_CAPTURES = 8, RX_REFERS = 16 };

struct rx_node { /* of the pattern as written */
    enum rx_kind kind;
    uint32_t min, max;                /* repetitions */
    uint8_t quantifier;               /* RX_LONG, RX_SHORT or 0: what the quantifier prefers */
    bool behind, negative;            /* RX_LOOK */
    enum rx_assert assertion;         /* RX_ASSERT */
    uint32_t group;                   /* RX_GROUP: its number, 0 when it captures nothing; RX_BACKREF */
    const struct rx_set *set;         /* RX_SET */
    struct rx_node *child, *next;     /* RX_GROUP, RX_LOOK: an RX_ALT; RX_ALT: RX_CATs; RX_CAT: atoms */
    const struct rx_node *referenced; /* RX_BACKREF: the group */
};

enum rx_op { RX_DO_SET, RX_DO_JUMP, RX_DO_SPLIT, RX_DO_ASSERT, RX_DO_LOOK, RX_DO_ACCEPT };
struct rx_instruction {
    uint8_t op;
    uint8_t assertion;
    bool behind, negative;
    uint32_t a, b; /* JUMP: a; SPLIT: a and b; LOOK: program a */
    const struct rx_set *set;
};
struct rx_program {
    uint32_t count, cap;
    uint32_t number; /* among regex.programs */
    struct rx_instruction *code;
    bool has_first; /* every match begins with a character of `first` */
    struct rx_set first;
};

/* How the match of a part divides among its own parts. */
enum rx_part_kind { RX_PLAIN, RX_BOTH, RX_EITHER, RX_REPEAT, RX_INNER, RX_SAME };
struct rx_part {
    enum rx_part_kind kind;
    uint8_t flags;      /* enum rx_prefer */
    uint32_t group;     /* captured here; 0: none */
    uint32_t reference; /* RX_SAME: the group whose text is repeated */
    uint32_t min, max;  /* RX_REPEAT, RX_SAME */
    struct rx_part *child, *next;
    struct rx_program *program; /* the language of this part */
};

struct regex {
    struct arena arena; /* holds all of it */
    unsigned flags;
    uint32_t group_count;
    uint32_t program_count, program_cap;
    struct rx_program **programs;
    struct rx_part *root;
    bool has_references;
};

/* What went wrong, as PostgreSQL says it; NULL: nothing. */
struct rx_parser {
    struct arena *arena;
    const uint32_t *p, *end;
    unsigned flags; /* enum regex_flags */
    uint32_t depth, look_depth, group_count, group_cap;
    struct rx_node **groups; /* by number; NULL while open */
    bool unsupported;
    const char *error;
};
/* regex_parse.c: an RX_ALT; NULL when p->error is set. */
struct rx_node *rx_parse(struct rx_parser *p);
/* regex_set.c */
struct rx_ranges {
    struct arena *arena;
    uint32_t count, cap;
    struct rx_range *items;
};
void rx_ranges_add(struct rx_ranges *r, uint32_t from, uint32_t to);
void rx_ranges_fold(struct rx_ranges *r); /* with the other case of every ASCII letter */
void rx_ranges_invert(struct rx_ranges *r);
void rx_ranges_remove(struct rx_ranges *r, uint32_t c);
/* By name ("alpha", "word", ...); false when there is none. */
bool rx_ranges_add_class(struct rx_ranges *r, const char *name, size_t len, bool fold, bool complement);
const struct rx_set *rx_set_make(struct rx_ranges *r);
static inline bool rx_is_word(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
/* regex_tree.c: fills re->root and re->programs; false when it gets too large. */
bool rx_build(struct regex *re, const struct rx_node *pattern);

#endif
