# yyjson: JSON reading and writing.
build() {
    $CC $CFLAGS -O3 -c src/yyjson.c -o yyjson.o
    $AR rcs "$PREFIX/lib/libyyjson.a" yyjson.o
    cp src/yyjson.h "$PREFIX/include/"
}
