# nghttp2's library, the HTTP/2 framing: its C files alone, with what configure would find on any Linux.
build() {
    mkdir obj
    local source
    for source in lib/*.c; do
        $CC $CFLAGS -DNGHTTP2_STATICLIB -DBUILDING_NGHTTP2 -DHAVE_ARPA_INET_H -DHAVE_NETINET_IN_H -DHAVE_CLOCK_GETTIME \
            -DHAVE_DECL_CLOCK_MONOTONIC=1 -Ilib/includes -Ilib -c "$source" -o "obj/$(basename "$source" .c).o"
    done
    $AR rcs "$PREFIX/lib/libnghttp2.a" obj/*.o
    mkdir -p "$PREFIX/include/nghttp2"
    cp lib/includes/nghttp2/*.h "$PREFIX/include/nghttp2/"
}
