# mimalloc as the process's malloc. An object, not an archive: linked first, it overrides musl's whole malloc family.
# __USE_ISOC11 makes it override aligned_alloc too on musl; without it the two allocators would free each other's blocks.
build() {
    $CC $CFLAGS -Iinclude -DNDEBUG -DMI_MALLOC_OVERRIDE=1 -D__USE_ISOC11=1 -fno-builtin-malloc -ftls-model=local-exec \
        -c src/static.c -o "$PREFIX/lib/mimalloc.o"
    cp include/mimalloc.h "$PREFIX/include/"
}
