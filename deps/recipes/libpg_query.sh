# libpg_query: PostgreSQL's grammar. Its public header lies in include/; PostgreSQL's internal headers, which the raw
# parse tree needs, lie apart in include/pgq-internal, for src/sql/pgq/ alone.
build() {
    # The library's own flags end in "-fPIC LEVEL": -g0 must stand there to win.
    env CFLAGS="$CFLAGS" AR="$AR" make -j"$JOBS" build CC="$CC" CFLAGS_OPT_LEVEL="-O2 -g0"
    cp libpg_query.a "$PREFIX/lib/"
    cp pg_query.h "$PREFIX/include/"
    local internal=$PREFIX/include/pgq-internal
    mkdir "$internal"
    cp -r src/postgres/include/. "$internal/"
    cp -r src/include/. "$internal/"
    cp src/*.h pg_query.h "$internal/"
    cp -r vendor/. "$internal/"
    mkdir -p "$internal/protobuf"
    cp protobuf/*.h "$internal/protobuf/"
}
