# Ed25519 signatures are verified with libsodium's code, which mbedTLS has none for: these files alone, and its helpers in
# their plain form (nothing secret is compared or wiped by a verification).
build() {
    local include=src/libsodium/include source
    mkdir obj
    cat >obj/helpers.c <<'X'
#include <stddef.h>
#include <stdlib.h>
void sodium_memzero(void *p, size_t n)
{
    volatile unsigned char *v = p;
    while (n--)
        *v++ = 0;
}
int sodium_memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;
    unsigned char differs = 0;
    while (n--)
        differs |= *x++ ^ *y++;
    return differs ? -1 : 0;
}
int sodium_is_zero(const unsigned char *p, size_t n)
{
    unsigned char any = 0;
    while (n--)
        any |= *p++;
    return any == 0;
}
void sodium_misuse(void)
{
    abort();
}
X
    sed 's/@VERSION@/1/; s/@SODIUM_LIBRARY_VERSION_MAJOR@/1/; s/@SODIUM_LIBRARY_VERSION_MINOR@/0/; s/@SODIUM_LIBRARY_MINIMAL_DEF@//' \
        $include/sodium/version.h.in >$include/sodium/version.h
    for source in crypto_sign/ed25519/ref10/open crypto_core/ed25519/ref10/ed25519_ref10 crypto_hash/sha512/cp/hash_sha512_cp \
        crypto_verify/verify; do
        $CC $CFLAGS -DSODIUM_STATIC -DCONFIGURED=1 -DNATIVE_LITTLE_ENDIAN=1 -DHAVE_TI_MODE=1 -I$include -I$include/sodium \
            -c src/libsodium/$source.c -o "obj/$(basename $source).o"
    done
    # The one function of the signing half that verification calls.
    cat >obj/hinit.c <<'X'
#include "crypto_hash_sha512.h"
void _crypto_sign_ed25519_ref10_hinit(crypto_hash_sha512_state *hs, int prehashed)
{
    (void)prehashed;
    crypto_hash_sha512_init(hs);
}
X
    $CC $CFLAGS -I$include -I$include/sodium -c obj/hinit.c -o obj/hinit.o
    $CC $CFLAGS -c obj/helpers.c -o obj/helpers.o
    $AR rcs "$PREFIX/lib/libsodium.a" obj/*.o
    mkdir -p "$PREFIX/include/sodium"
    cp $include/sodium/export.h $include/sodium/crypto_hash_sha512.h $include/sodium/crypto_sign_ed25519.h "$PREFIX/include/sodium/"
}
