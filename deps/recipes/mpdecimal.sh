# libmpdec (C only): numeric beyond 128 bits.
build() {
    ./configure --host="$HOST" --disable-cxx --disable-shared CC="$CC" AR="$AR" RANLIB="$RANLIB" CFLAGS="$CFLAGS"
    make -C libmpdec -j"$JOBS" libmpdec.a
    cp libmpdec/libmpdec.a "$PREFIX/lib/"
    cp libmpdec/mpdecimal.h "$PREFIX/include/"
}
