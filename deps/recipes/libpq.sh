# libpq, PostgreSQL's client library, with TLS by mbedTLS through our backend src/source/pgtls/fe-secure-mbedtls.c.
# Without that file it is built without TLS. The backend is compiled as part of libpq with USE_SSL and USE_MBEDTLS;
# its state hangs on conn->pgtls (a void pointer that this recipe adds to struct pg_conn).
#
# To iterate on the backend: `scripts/deps x86_64 libpq` after an edit takes a few seconds, because the configured tree
# $PENSTOCK_CACHE/build/TARGET/libpq stays and only changed files are compiled. By hand, in that tree:
#     make -C src/interfaces/libpq -f Makefile fe-secure-mbedtls.o with_ssl=mbedtls COPT="$(cat copt)"
# (the last build's compiler output is in build.log of the installed prefix). `make deps` afterwards refreshes deps.mk.
needs="mbedtls"
inputs="src/source/pgtls/fe-secure-mbedtls.c"
keep_tree=yes

configure_tree() {
    unpack libpq "$SRC"
    cd "$SRC"
    # struct pg_conn gets a place for the backend's state, beside OpenSSL's.
    sed -i '/^#ifdef USE_SSL$/{N;s/\n#ifdef USE_OPENSSL$/\n#ifdef USE_MBEDTLS\n\tvoid\t   *pgtls;\t\t\t\/* mbedTLS backend state *\/\n#endif&/}' \
        src/interfaces/libpq/libpq-int.h
    grep -q 'void.*\*pgtls;' src/interfaces/libpq/libpq-int.h
    ./configure --host="$HOST" CC="$CC" AR="$AR" CFLAGS="$CFLAGS" --without-readline --without-icu --without-zlib \
        --without-gssapi --without-ldap --without-pam --without-llvm --disable-nls --disable-rpath
    make -C src/backend generated-headers
    make -j"$JOBS" -C src/common libpgcommon_shlib.a
    make -j"$JOBS" -C src/port libpgport_shlib.a
    tree_key >configured
}

tree_key() { echo "$TARGET $TOOLCHAIN $CFLAGS $(lock_line libpq) $(cat "$ROOT/deps/recipes/libpq.sh")" | hash_of; }

build() {
    if [ "$(cat configured 2>/dev/null)" != "$(tree_key)" ]; then configure_tree; fi
    local backend=$ROOT/$inputs tls=no copt='' extra=''
    if [ -e "$backend" ]; then
        tls=mbedtls extra=fe-secure-mbedtls.o
        copt="-DUSE_SSL -DUSE_MBEDTLS -I$(prefix_of mbedtls)/include"
        cmp -s "$backend" src/interfaces/libpq/fe-secure-mbedtls.c || cp "$backend" src/interfaces/libpq/
    fi
    # Other flags than last time: all objects of libpq itself again.
    if [ "$(cat copt 2>/dev/null)" != "$copt" ]; then rm -f src/interfaces/libpq/*.o; fi
    echo "$copt" >copt
    rm -f src/interfaces/libpq/libpq.a
    # Its two helper libraries were made above, without these flags: with them they would want OpenSSL's headers.
    make -j"$JOBS" -C src/interfaces/libpq libpq.a SHLIB_PREREQS= with_ssl=$tls COPT="$copt" OBJS_STATIC="fe-auth-oauth.o $extra"
    # One object in which only the public functions stay global: 45 other names clash with libpg_query.
    # pg_char_to_encoding and the like are listed in exports.txt too, but libpg_query has its own.
    awk '/^(PQ|lo_)/ {print $1}' src/interfaces/libpq/exports.txt >keep.txt
    $LD -r -o pq.o --whole-archive src/interfaces/libpq/libpq.a --no-whole-archive \
        src/common/libpgcommon_shlib.a src/port/libpgport_shlib.a
    $OBJCOPY --keep-global-symbols=keep.txt pq.o
    $AR rcs "$PREFIX/lib/libpq.a" pq.o
    cp src/interfaces/libpq/libpq-fe.h src/interfaces/libpq/libpq-events.h src/include/postgres_ext.h "$PREFIX/include/"
}
