# Ed25519 signatures are made and verified with libsodium's code, which mbedTLS has none for: these files alone, with helpers of
# our own. Signing wipes what it derives from the secret key (sodium_memzero), which explicit_bzero does for sure.
build() {
    local include=src/libsodium/include source
    mkdir obj
    cat >obj/helpers.c <<'X'
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
void sodium_memzero(void *p, size_t n)
{
    explicit_bzero(p, n);
}
int sodium_memcmp(const void *a, const void *b, size_t n)
{
    const volatile unsigned char *x = a, *y = b;
    unsigned char differs = 0;
    while (n--)
        differs |= *x++ ^ *y++;
    return differs ? -1 : 0;
}
/* The kernel's, which waits until it was seeded. Without randomness there is no key. */
void randombytes_buf(void *p, size_t n)
{
    unsigned char *at = p;
    while (n) {
        ssize_t got = getrandom(at, n < 256 ? n : 256, 0);
        if (got < 0 && errno != EINTR)
            abort();
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        }
    }
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
    for source in crypto_sign/ed25519/ref10/{open,sign,keypair} crypto_core/ed25519/ref10/ed25519_ref10 crypto_hash/sha512/cp/hash_sha512_cp \
        crypto_verify/verify; do
        $CC $CFLAGS -DSODIUM_STATIC -DCONFIGURED=1 -DNATIVE_LITTLE_ENDIAN=1 -DHAVE_TI_MODE=1 -I$include -I$include/sodium \
            -c src/libsodium/$source.c -o "obj/$(basename $source).o"
    done
    $CC $CFLAGS -c obj/helpers.c -o obj/helpers.o
    $AR rcs "$PREFIX/lib/libsodium.a" obj/*.o
    mkdir -p "$PREFIX/include/sodium"
    cp $include/sodium/export.h $include/sodium/crypto_hash_sha512.h $include/sodium/crypto_sign_ed25519.h "$PREFIX/include/sodium/"
}
