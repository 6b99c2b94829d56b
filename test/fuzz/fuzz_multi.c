/* The body of a batch: taken apart into reads, or refused with a problem; never read past its end. */
#include "serve/multi.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct serve_limits limits = {.target_bytes = 200};
    struct rest r = {.limits = &limits};
    struct multi m = {0};
    struct problem p;
    yyjson_val *root, *key, *val;
    size_t i, max;
    uint8_t *copy = malloc(size + 1); /* its own block: the sanitizer sees a read past its end */
    memcpy(copy, data, size);
    copy = realloc(copy, size ? size : 1);
    arena_init(&r.arena);
    problem_init(&p, &r.arena);
    bool ok = parse(&m, (struct slice){copy, size}, &root, &p);
    ASSERT(ok == (p.status == 0));
    for (int form = 0; ok && form < 2; form++) {
        struct http_request req;
        struct problem one;
        if (form == 0 && yyjson_is_arr(root))
            yyjson_arr_foreach(root, i, max, val)
            {
                problem_init(&one, &r.arena);
                bool read = read_of(&r, val, "/api/", &req, &one);
                ASSERT(read == (one.status == 0) && (!read || (req.target.len && req.target.p[0] == '/')));
            }
        if (form == 1 && yyjson_is_obj(root))
            yyjson_obj_foreach(root, i, max, key, val)
            {
                problem_init(&one, &r.arena);
                bool read = read_of(&r, val, "/api/v1/", &req, &one);
                ASSERT(read == (one.status == 0) && (!read || (req.target.len && req.target.p[0] == '/')));
            }
    }
    arena_fini(&r.arena);
    buf_fini(&m.json);
    free(copy);
    return 0;
}
