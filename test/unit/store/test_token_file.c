/* The file of tokens: what is saved is loaded again, no token's text is in it, and anything else than what was written is refused
 * as a whole. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/token_file.h"
#include "store/small_file.h"
#include "store_test.h"

#include <sys/stat.h>

static void test_round_trip(void)
{
    char *dir = fresh_dir("tokens"), text[TOKEN_TEXT_BYTES + 1], *saved;
    struct token_file *f = NULL, *again = NULL;
    uint8_t hash[TOKEN_HASH_BYTES];
    size_t len;
    CHECK(mkdir(dir, 0700) == 0);
    OK(token_file_load(dir, &f));
    CHECK(f->token_count == 0 && f->next_id == 1);
    struct token *t = &f->tokens[f->token_count++];
    struct token_claim claims[] = {{"branch", "3"}, {"odd \"name\"", "\xc3\xa9\n"}};
    *t = (struct token){.id = f->next_id++,
                        .role = "teller",
                        .name = "x",
                        .claim_count = 2,
                        .claims = claims,
                        .created_s = 5,
                        .expires_s = 9};
    OK(token_make(text, t->hash));
    OK(token_file_save(f, dir));
    OK(token_file_load(dir, &again));
    CHECK(again->token_count == 1 && again->next_id == 2 && again->tokens[0].id == 1 &&
          again->tokens[0].expires_s == 9);
    CHECK_STR(again->tokens[0].claims[1].value, "\xc3\xa9\n");
    token_hash(text, TOKEN_TEXT_BYTES, hash);
    CHECK(strlen(text) == TOKEN_TEXT_BYTES && memcmp(hash, again->tokens[0].hash, sizeof hash) == 0);
    char *path = xprintf("%s/" TOKEN_FILE, dir);
    OK(small_file_read(path, TOKEN_FILE_BYTES_MAX, &saved, &len));
    CHECK(!memmem(saved, len, text, TOKEN_TEXT_BYTES) && !memmem(saved, len, text + 4, 20));
    for (size_t cut = 0; cut < len - 1; cut += 7) { /* a part of the file is no file */
        struct token_file *part = NULL;
        struct err *e = token_file_parse(saved, cut, &part);
        CHECK(e && !part);
        err_free(e);
        token_file_free(part);
    }
    free(saved);
    free(path);
    token_file_free(again);
    token_file_free(f);
    free(dir);
}

static bool refused(const char *text)
{
    struct token_file *f = NULL;
    struct err *e = token_file_parse(text, strlen(text), &f);
    bool ok = e && !f;
    token_file_free(f);
    err_free(e);
    return ok;
}

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define TOKEN(id, hash, rest)                                                   \
    "{\"format\":1,\"next_id\":3,\"tokens\":[{\"id\":" id ",\"sha256\":\"" hash \
    "\",\"role\":\"r\",\"name\":\"\",\"claims\":{},\"created\":1" rest "}]}"

static void test_surprises(void)
{
    struct token_file *f = NULL;
    OK(token_file_parse(TOKEN("2", HASH, ""), strlen(TOKEN("2", HASH, "")), &f));
    CHECK(f->tokens[0].expires_s == INT64_MAX);
    token_file_free(f);
    CHECK(refused(TOKEN("3", HASH, "")) && refused(TOKEN("-1", HASH, "")) && refused(TOKEN("2", "00", "")));
    CHECK(refused(TOKEN("2",
                        "0"
                        "0112233445566778899aabbccddeeff00112233445566778899aabbccddeefg",
                        "")));
    CHECK(refused(TOKEN("2", HASH, ",\"expires\":\"never\"")) &&
          refused(TOKEN("2", HASH, ",\"expires\":-5")));
    CHECK(refused("{}") && refused("") && refused("{\"format\":2,\"next_id\":1,\"tokens\":[]}"));
}

int main(void)
{
    RUN(test_round_trip);
    RUN(test_surprises);
    TEST_END();
}
