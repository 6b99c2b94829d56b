# DHCPv4, DHCPv6 and router advertisements. Privilege separation is on: what parses packets runs as the user dhcp in an
# empty folder under seccomp; a small root process does what is asked of it. No hook scripts: a box has no shell.
build() {
    mend
    ./configure --host="$HOST" --os=linux CC="$CC" CFLAGS="$CFLAGS" --enable-static --prefix=/ --sbindir=/bin --sysconfdir=/etc \
        --libexecdir=/libexec --dbdir=/run/dhcpcd/lease --rundir=/run/dhcpcd --enable-privsep --privsepuser=dhcp \
        --without-udev --without-openssl --enable-embedded
    make -C src -j"$JOBS" dhcpcd
    install_program src/dhcpcd
}

# Known faults of this version that a neighbour on the link can reach, mended here in our own words because the archive lists
# Debian's patches but does not carry them. Each edit must find its place, or the build fails.
mend() {
    # Options of length zero in a router advertisement were walked for ever.
    sed -i 's/if (olen > len) {/if (olen == 0 || olen > len) {/; s/if (i > ol) {/if (i == 0 || i > ol) {/' src/ipv6nd.c
    [ "$(grep -c 'if (olen == 0 || olen > len) {' src/ipv6nd.c)" = 3 ]
    [ "$(grep -c 'if (i == 0 || i > ol) {' src/ipv6nd.c)" = 1 ]
    # Expired routes of advertisements were forgotten and not freed, and their number had no bound.
    sed -i 's/^\(\t*\)TAILQ_REMOVE(&rap->rinfos, rinfo, next);$/&\n\1free(rinfo);/' src/ipv6nd.c
    [ "$(grep -c 'free(rinfo);' src/ipv6nd.c)" = 1 ]
    sed -i '/^static struct routeinfo \*routeinfo_findalloc(.*prefix_len)$/,/^}/ {
        s/^\tTAILQ_FOREACH(ri/\tsize_t n = 0;\n\n&/
        s/^\t\tif (ri->prefix_len == prefix_len/\t\tn++;\n&/
        s/^\tri = malloc(/\tif (n >= 64) {\n\t\terrno = ENOBUFS;\n\t\treturn NULL;\n\t}\n\n&/
    }' src/ipv6nd.c
    [ "$(grep -c 'size_t n = 0;\|^[[:blank:]]\{2\}n++;$\|if (n >= 64) {' src/ipv6nd.c)" = 3 ]
    # An excluded prefix takes up to 17 octets.
    sed -i 's/uint8_t exb\[16\]/uint8_t exb[18]/' src/dhcp6.c
    [ "$(grep -c 'uint8_t exb\[18\]' src/dhcp6.c)" = 1 ]
}
