# mbedTLS 3.6: TLS for the server and, through our own backend, for libpq. The edited mbedtls_config.h is installed, so
# that users see the same structs as the library.
build() {
    # Our threads share one configuration; buffers shrink to the record's size so that idle connections stay small.
    local option
    for option in MBEDTLS_THREADING_C MBEDTLS_THREADING_PTHREAD MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH \
        MBEDTLS_SSL_PROTO_TLS1_3 MBEDTLS_SSL_TICKET_C MBEDTLS_SSL_SESSION_TICKETS MBEDTLS_SSL_KEEP_PEER_CERTIFICATE \
        MBEDTLS_X509_CREATE_C MBEDTLS_X509_CRT_WRITE_C MBEDTLS_X509_CSR_WRITE_C MBEDTLS_AESNI_C MBEDTLS_AESCE_C; do
        python3 scripts/config.py set $option
    done
    # Nothing here stores PSA keys in files, and the self tests are upstream's business.
    for option in MBEDTLS_SELF_TEST MBEDTLS_PSA_CRYPTO_STORAGE_C MBEDTLS_PSA_ITS_FILE_C MBEDTLS_NET_C; do
        python3 scripts/config.py unset $option
    done
    if [ "$TARGET" = aarch64 ]; then
        # Chosen at run time where the CPU has them (Neoverse does).
        python3 scripts/config.py set MBEDTLS_SHA256_USE_ARMV8_A_CRYPTO_IF_PRESENT
        python3 scripts/config.py set MBEDTLS_SHA512_USE_A64_CRYPTO_IF_PRESENT
    fi
    # GEN_FILES empty: the release's generated sources are used as they are.
    make -C library -j"$JOBS" static CC="$CC" AR="$AR" GEN_FILES= CFLAGS="$CFLAGS"
    faster_aes
    cp library/libmbedtls.a library/libmbedx509.a library/libmbedcrypto.a "$PREFIX/lib/"
    cp -r include/mbedtls include/psa "$PREFIX/include/"
}

# The hardware AES path, and proof that it is in the archive. On x86 mbedTLS takes its intrinsics (AES-256-GCM about 1.2 times as fast
# as its inline assembly: median of 15 interleaved pairs, CPU time, on a shared x86_64 machine) only where the compiler may use the instructions, so these three files alone are compiled so;
# what they call is still chosen at run time by the CPU's flags. The three must agree on the alignment of round keys.
faster_aes() {
    local file accelerator=mbedtls_aesce_crypt_ecb
    case $HOST in
    x86_64-*)
        accelerator=mbedtls_aesni_crypt_ecb
        for file in aesni aes gcm; do
            $CC $CFLAGS -O3 -maes -mpclmul -Iinclude -Ilibrary -c library/$file.c -o library/$file.o
            $AR r library/libmbedcrypto.a library/$file.o
        done
        ;;
    esac
    $NM library/libmbedcrypto.a 2>/dev/null | grep " T $accelerator\$"
}
