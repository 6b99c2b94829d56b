# llhttp, the HTTP/1.1 parser: its generated C as released, from the copy that aiohttp's tarball carries.
build() {
    cd vendor/llhttp
    mkdir obj
    local source
    for source in build/c/llhttp.c src/native/api.c src/native/http.c; do
        $CC $CFLAGS -Ibuild -Isrc/native -c "$source" -o "obj/$(basename "$source" .c).o"
    done
    $AR rcs "$PREFIX/lib/libllhttp.a" obj/*.o
    cp build/llhttp.h "$PREFIX/include/"
}
