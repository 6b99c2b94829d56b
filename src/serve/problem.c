/* Errors as PostgREST prints them; see problem.h. */
#include "serve/problem.h"
#include "serve/out.h"

#include <stdarg.h>
#include <stdio.h>

static const char *vformat(struct arena *a, const char *fmt, va_list ap)
{
    char text[1024];
    text_vfill(text, sizeof text, fmt, ap);
    return arena_strdup(a, text);
}

bool problem_set(struct problem *p, int status, const char *code, const char *fmt, ...)
{
    if (p->status)
        return false;
    va_list ap;
    va_start(ap, fmt);
    p->status = status;
    p->code = code;
    p->message = vformat(p->arena, fmt, ap);
    va_end(ap);
    return false;
}

bool problem_details(struct problem *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!p->details)
        p->details = vformat(p->arena, fmt, ap);
    va_end(ap);
    return false;
}

bool problem_hint(struct problem *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!p->hint)
        p->hint = vformat(p->arena, fmt, ap);
    va_end(ap);
    return false;
}

void problem_json(const struct problem *p, struct buf *out)
{
    OUT_LIT(out, "{\"code\":");
    out_json_cstr(out, p->code);
    OUT_LIT(out, ",\"message\":");
    out_json_cstr(out, p->message);
    OUT_LIT(out, ",\"details\":");
    out_json_cstr(out, p->details);
    OUT_LIT(out, ",\"hint\":");
    out_json_cstr(out, p->hint);
    OUT_LIT(out, "}");
}

const char *status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } rows[] = {
        {200, "OK"},
        {204, "No Content"},
        {206, "Partial Content"},
        {300, "Multiple Choices"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (rows[i].status == status)
            return rows[i].text;
    return "Status";
}
