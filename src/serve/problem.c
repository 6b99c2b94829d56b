/* Errors as PostgREST prints them; see problem.h. */
#include "serve/problem.h"
#include "serve/out.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *vformat(struct arena *a, const char *fmt, va_list ap)
{
    char text[1024];
    text_vfill(text, sizeof text, fmt, ap);
    return arena_strdup(a, text);
}

/* What mends a problem of this kind, where who set it has nothing better to say. */
static const char *standard_hint(const char *code)
{
    static const struct {
        const char *code, *hint;
    } rows[] = {
        {"22025", "Write a backslash of the pattern twice."},
        {"42703", "GET /api/ shows the columns of each api."},
        {"42704", "Cast to a type of PostgreSQL, such as select=balance::text."},
        {"42846", "Cast to text: select=balance::text."},
        {"42883", "Order by another column, or by one that the view makes of it."},
        {"PENSTOCK_ENDED", "Ask again with valid credentials."},
        {"PENSTOCK_KEY", "GET /api/ shows the columns of each key, in their order."},
        {"PENSTOCK_LIMIT", "Ask for less at a time; several reads go into one POST /api/$batch."},
        {"PENSTOCK_LIVE", "Follow one api: GET /api/NAME with Accept: text/event-stream."},
        {"PENSTOCK_MESSAGE", "Make the client from /api/penstock.proto as this server has it now."},
        {"PENSTOCK_RATE",
         "Send less, or raise the limit that the message names under limits: in penstock.yaml."},
        {"PENSTOCK_SERVICE", "Reflection and /api/penstock.proto tell which services there are."},
        {"PENSTOCK_SUBSCRIBERS", "Close some, or raise limits: { subscribers: N } in penstock.yaml."},
        {"PENSTOCK_URL", "Escape what is not a letter or digit as %XX, in UTF-8: a space is %20."},
        {"PENSTOCK_VERSION",
         "/api/ is whichever version is current; `penstock version list` tells which are kept."},
        {"PENSTOCK_WAIT", "The position after a commit: SELECT pg_current_wal_lsn()."},
        {"PENSTOCK_WHY", "The row's own path with /why behind it: GET /api/NAME/KEY/why."},
        {"PENSTOCK_WHY_CURSOR", "Begin again without the cursor; the answer's next is one."},
        {"PGRST100",
         "A filter is COLUMN=OPERATOR.VALUE, such as id=eq.5; values with commas stand in double quotes."},
        {"PGRST103", "Begin at an offset before the last row, or at 0."},
        {"PGRST107", "Accept application/json, text/csv or application/x-ndjson; */* is the first."},
        {"PGRST116", "Filter by the key, or leave out Accept: application/vnd.pgrst.object+json for a list."},
        {"PGRST118", "Order by the columns of a view that is one for each row: a relation from many to one."},
        {"PGRST119", "Leave out the three points: only one row for each row can be spread."},
        {"PGRST120", "Put the filter on a column of it: NAME.COLUMN=eq.VALUE."},
        {"PGRST122", "Leave out handling=strict, or the preferences that are not known."},
        {"PGRST200", "Declare it in penstock.yaml: apis: { NAME: { references: { COLUMN: OTHER } } }."},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (strcmp(rows[i].code, code) == 0)
            return rows[i].hint;
    return NULL;
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
    p->hint = p->standard_hint = status < 500 ? standard_hint(code) : NULL;
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
    if (p->hint == p->standard_hint)
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
        {409, "Conflict"},
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
