# zlib: gzip for HTTP answers and for the assets.
build() {
    CHOST=$HOST ./configure --static --prefix="$PREFIX"
    make -j"$JOBS" libz.a CC="$CC" AR="$AR" CFLAGS="$CFLAGS -D_LARGEFILE64_SOURCE=1 -DHAVE_HIDDEN"
    cp libz.a "$PREFIX/lib/"
    cp zlib.h zconf.h "$PREFIX/include/"
}
