# musl C compilers out of Debian's GCC: ARCH-linux-musl-gcc and its binutils. Sourced by scripts/deps.
# musl is built from source into a sysroot of its own; a specs file makes Debian's (cross) GCC use only that.
# Default output is static-pie: no loader, no shared library, and still address-space randomisation.

toolchain_hash() { # ARCH
    { echo "gcc $("$1-linux-gnu-gcc" -dumpfullversion -dumpmachine | tr '\n' ' ')"; lock_line musl
      cat "$ROOT/deps/toolchain.sh"; } | hash_of
}

toolchain_dir() { echo "$CACHE/toolchain/$1-$(toolchain_hash "$1")"; } # ARCH

build_toolchain() { # ARCH
    local arch=$1 dir work
    command -v "$arch-linux-gnu-gcc" >/dev/null || die "no $arch-linux-gnu-gcc: run scripts/setup"
    dir=$(toolchain_dir "$arch")
    [ -e "$dir/.done" ] && return
    say "build  toolchain $arch"
    rm -rf "$dir"
    mkdir -p "$dir/bin" "$dir/sysroot"
    work=$CACHE/build/$arch/musl
    unpack musl "$work"
    (
        cd "$work"
        # musl needs the plain GNU compiler here, also on x86: the wrapper below exists only afterwards.
        CC=$arch-linux-gnu-gcc CROSS_COMPILE=$arch-linux-gnu- CFLAGS="-O2 -ffunction-sections -fdata-sections" \
            ./configure --target="$arch-linux-musl" --prefix="$dir/sysroot" --syslibdir="$dir/sysroot/lib" \
            --disable-shared --enable-wrapper=no
        make -j"$JOBS"
        make install
    ) >"$dir/build.log" 2>&1 || { tail -n 30 "$dir/build.log" | cut -c1-200 >&2; die "musl for $arch does not build: $dir/build.log"; }
    copy_kernel_headers "$arch" "$dir/sysroot/include"
    write_specs "$dir/sysroot" >"$dir/musl.specs"
    write_wrapper "$arch" "$dir" >"$dir/bin/$arch-linux-musl-gcc"
    chmod +x "$dir/bin/$arch-linux-musl-gcc"
    local tool
    for tool in ar ranlib nm strip objcopy objdump readelf ld as size; do
        ln -sf "$(command -v "$arch-linux-gnu-$tool")" "$dir/bin/$arch-linux-musl-$tool"
    done
    rm -rf "$work"
    touch "$dir/.done"
}

# musl brings no kernel headers. Its own scsi/ stays; everything else that Linux exports is copied beside it.
copy_kernel_headers() { # ARCH INCLUDE-DIR
    local from asm part
    if [ -d "/usr/$1-linux-gnu/include/linux" ]; then
        from=/usr/$1-linux-gnu/include asm=/usr/$1-linux-gnu/include/asm # Debian's cross packages
    else
        from=/usr/include asm=/usr/include/$1-linux-gnu/asm
    fi
    for part in linux asm-generic mtd misc video sound; do cp -aL "$from/$part" "$2/"; done
    cp -aL "$asm" "$2/asm"
}

write_wrapper() { # ARCH DIR
    cat <<X
#!/bin/sh
# static-pie unless another kind of output is asked for
mode=-static-pie
for arg; do
    case \$arg in -static | -static-pie | -r | -shared | -no-pie) mode= ;; esac
done
exec $1-linux-gnu-gcc "\$@" \$mode -specs $2/musl.specs
X
}

# GCC specs: only musl's headers and libraries; start files for static-pie and for static (shared is not supported).
write_specs() { # SYSROOT
    cat <<X
%rename cpp_options old_cpp_options

*cpp_options:
-nostdinc -isystem $1/include -isystem include%s %(old_cpp_options)

*cc1:
%(cc1_cpu) -nostdinc -isystem $1/include -isystem include%s

*link_libgcc:
-L$1/lib -L .%s

*libgcc:
libgcc.a%s %:if-exists(libgcc_eh.a%s)

*startfile:
%{static-pie:$1/lib/rcrt1.o;:$1/lib/crt1.o} $1/lib/crti.o %{static-pie:crtbeginS.o%s;:crtbeginT.o%s}

*endfile:
%{static-pie:crtendS.o%s;:crtend.o%s} $1/lib/crtn.o

*link:
-nostdlib -static %{static-pie:-pie --no-dynamic-linker -z text} -z relro -z now -z noexecstack --hash-style=gnu --build-id

*esp_link:


*esp_options:


*esp_cpp_options:


X
}
