/* Templates of to_char and to_number for numbers: what a template asks for, and its parts. */
#ifndef PENSTOCK_TYPES_NUMBER_FORMAT_H
#define PENSTOCK_TYPES_NUMBER_FORMAT_H

#include "types/func.h"

enum nf_item_id { /* NF_TEXT: any other character, as it is */
                  NF_TEXT,
                  NF_COMMA,
                  NF_POINT,
                  NF_0,
                  NF_9,
                  NF_B,
                  NF_C,
                  NF_D,
                  NF_EEEE,
                  NF_FM,
                  NF_G,
                  NF_L,
                  NF_MI,
                  NF_PL,
                  NF_PR,
                  NF_RN,
                  NF_SG,
                  NF_SP,
                  NF_S,
                  NF_TH,
                  NF_V
};
struct nf_item {
    enum nf_item_id id;
    bool lower; /* rn, th */
    struct str text;
};
enum nf_flags {
    NF_DECIMAL = 1,
    NF_ZERO = 2,
    NF_BLANK = 4,
    NF_FILL = 8,  /* FM */
    NF_SIGN = 16, /* S */
    NF_BRACKET = 32,
    NF_MINUS = 64,
    NF_PLUS = 128,
    NF_ROMAN = 256,
    NF_MULTI = 512, /* V */
    NF_EXPONENT = 1024
};
enum nf_sign_place { NF_SIGN_NONE, NF_SIGN_BEFORE, NF_SIGN_AFTER };
struct number_format {
    unsigned flags;
    int before, after, multi; /* digits asked for before and after the point, and after V */
    int zero_start, zero_end; /* digits from and up to which zeros are shown */
    enum nf_sign_place sign_place;
    int before_sign; /* digits before the S */
    uint32_t count;
    struct nf_item *items;
};
/* False after fn_fail. */
bool number_format_read(struct fn_ctx *ctx, const struct str *template, struct number_format *f);

/* func_to_number.c */
bool fn_to_number(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                  union val *out, bool *out_null);
#define NF_NEGATIVE "-"
#define NF_POSITIVE "+"

#endif
