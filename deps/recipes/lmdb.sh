# LMDB as source only: src/store/mdb_private.c includes mdb.c, because putting a snapshot's meta page back needs its
# private structs. midl.c is compiled beside it.
build() {
    mkdir -p "$PREFIX/include/lmdb-src"
    cp libraries/liblmdb/{mdb.c,midl.c,midl.h,lmdb.h} "$PREFIX/include/lmdb-src/"
    cp libraries/liblmdb/lmdb.h "$PREFIX/include/"
}
