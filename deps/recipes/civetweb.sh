# civetweb, plain HTTP on a unix socket behind our own TLS front: no TLS, no files, no CGI, no caching of its own.
build() {
    $CC $CFLAGS -Iinclude -DNDEBUG -DNO_SSL -DNO_CGI -DNO_CACHING -DNO_FILES -DUSE_X_DOM_SOCKET \
        -DUSE_STACK_SIZE=262144 -c src/civetweb.c -o civetweb.o
    $AR rcs "$PREFIX/lib/libcivetweb.a" civetweb.o
    cp include/civetweb.h "$PREFIX/include/"
}
