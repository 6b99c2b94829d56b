# xxHash: a fast hash; xxhash.h alone also works inline (XXH_INLINE_ALL).
build() {
    $CC $CFLAGS -O3 -c xxhash.c -o xxhash.o
    $AR rcs "$PREFIX/lib/libxxhash.a" xxhash.o
    cp xxhash.h xxh3.h "$PREFIX/include/"
}
