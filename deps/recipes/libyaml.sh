# libyaml, compiled directly: the tarball has no configure script, and these four defines are all it would find out.
build() {
    local version=0.2.5 source
    mkdir obj
    for source in src/*.c; do
        $CC $CFLAGS -Iinclude -DYAML_VERSION_MAJOR=0 -DYAML_VERSION_MINOR=2 -DYAML_VERSION_PATCH=5 \
            -DYAML_VERSION_STRING="\"$version\"" -c "$source" -o "obj/$(basename "$source" .c).o"
    done
    $AR rcs "$PREFIX/lib/libyaml.a" obj/*.o
    cp include/yaml.h "$PREFIX/include/"
}
