# Makes and repairs the data partition. PID 1 grows it by ioctl and needs no resize2fs.
build() {
    ./configure --host="$HOST" CC="$CC" BUILD_CC=gcc AR="$AR" RANLIB="$RANLIB" CFLAGS="$CFLAGS" LDFLAGS="-Wl,--gc-sections" \
        --disable-nls --disable-elf-shlibs --disable-uuidd --disable-fsck --disable-defrag --disable-imager \
        --disable-debugfs --disable-resizer --disable-tdb --disable-testio-debug --disable-backtrace --enable-libuuid \
        --enable-libblkid --without-pthread --disable-fuse2fs --sysconfdir=/etc
    make -j"$JOBS" libs
    make -C e2fsck -j"$JOBS" e2fsck
    make -C misc -j"$JOBS" mke2fs
    install_program e2fsck/e2fsck misc/mke2fs
}
