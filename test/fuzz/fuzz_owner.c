/* Any bytes as authorized_keys, as a claim code, as certificates: keys that are what they say or errors, and nothing out of bounds. */
#include "box/admin.h"
#include "box/certificate.h"
#include "box/ssh_keys.h"

#include <stdlib.h>
#include <string.h>

static void try_keys(const uint8_t *data, size_t size)
{
    static struct ssh_keys k;
    struct err *e = ssh_keys_parse("authorized_keys", (const char *)data, size, &k);
    ASSERT(k.count <= SSH_KEYS_MAX && !(e && k.count));
    for (uint32_t i = 0; i < k.count; i++) {
        const struct ssh_key *one = &k.keys[i];
        ASSERT(one->at + one->len <= size && one->len <= SSH_KEY_LINE_MAX && strlen(one->fingerprint) == 50);
        ASSERT(!memchr(data + one->at, '\n', one->len) && strlen(one->comment) <= SSH_KEY_COMMENT_MAX);
        /* Alone it is the same key: so it is written back. */
        static struct ssh_keys again;
        struct err *f = ssh_keys_parse("again", (const char *)data + one->at, one->len, &again);
        ASSERT(!f && again.count == 1 && strcmp(again.keys[0].fingerprint, one->fingerprint) == 0);
    }
    err_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char code[ADMIN_CODE_BYTES], again[ADMIN_CODE_BYTES], *text = xmalloc(size + 1);
    struct certificate_info info;
    memcpy(text, data, size);
    text[size] = 0;
    if (admin_code_read(text, code))
        ASSERT(admin_code_read(code, again) && strcmp(code, again) == 0 && strlen(code) == 9);
    try_keys((const uint8_t *)text, size);
    struct err *e = certificate_read(text, size, &info);
    if (!e)
        ASSERT(info.names.count <= CERTIFICATE_NAMES_MAX);
    err_free(e);
    free(text);
    return 0;
}
