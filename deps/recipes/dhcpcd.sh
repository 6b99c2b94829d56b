# DHCPv4, DHCPv6 and router advertisements. Privilege separation is on: what parses packets runs as the user dhcp in an
# empty folder under seccomp; a small root process does what is asked of it. No hook scripts: a box has no shell.
build() {
    ./configure --host="$HOST" --os=linux CC="$CC" CFLAGS="$CFLAGS" --enable-static --prefix=/ --sbindir=/bin --sysconfdir=/etc \
        --libexecdir=/libexec --dbdir=/run/dhcpcd/lease --rundir=/run/dhcpcd --enable-privsep --privsepuser=dhcp \
        --without-udev --without-openssl --enable-embedded
    make -C src -j"$JOBS" dhcpcd
    install_program src/dhcpcd
}
