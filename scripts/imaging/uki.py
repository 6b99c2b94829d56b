#!/usr/bin/python3
"""A unified kernel image: systemd's stub with the kernel, the initramfs and the command line as further sections of the
same PE file: uki.py OUT STUB .SECTION=FILE... (.linux last: it may need more memory than its bytes)."""
import struct
import sys

READ_DATA, READ_CODE = 0x40000040, 0x60000020


def up(value, to):
    return -(-value // to) * to


def size_in_memory(pe):
    """SizeOfImage of a PE file: a kernel's own variables come after its bytes."""
    header = struct.unpack_from("<I", pe, 0x3C)[0]
    return struct.unpack_from("<I", pe, header + 24 + 56)[0]


def build(stub, parts):
    out = bytearray(stub)
    header = struct.unpack_from("<I", out, 0x3C)[0]
    if out[header:header + 4] != b"PE\0\0":
        sys.exit("image: the stub is no PE file")
    optional = header + 24
    count, optional_size = struct.unpack_from("<H", out, header + 6)[0], struct.unpack_from("<H", out, header + 20)[0]
    section_align, file_align = struct.unpack_from("<II", out, optional + 32)
    headers_size = struct.unpack_from("<I", out, optional + 60)[0]
    table = optional + optional_size
    address = 0
    for i in range(count):
        size, start = struct.unpack_from("<II", out, table + 40 * i + 8)
        address = max(address, up(start + size, section_align))
    if table + 40 * (count + len(parts)) > headers_size:
        sys.exit("image: the stub has no room for %d sections more" % len(parts))
    initialized = struct.unpack_from("<I", out, optional + 8)[0]
    for name, data in parts:
        memory = max(len(data), size_in_memory(data)) if name == ".linux" else len(data)
        out += b"\0" * (up(len(out), file_align) - len(out))
        struct.pack_into("<8sIIIIIIHHI", out, table + 40 * count, name.encode(), memory, address, up(len(data), file_align), len(out),
                         0, 0, 0, 0, READ_CODE if name == ".linux" else READ_DATA)
        out += data + b"\0" * (up(len(data), file_align) - len(data))
        address = up(address + memory, section_align)
        initialized += up(len(data), file_align)
        count += 1
    struct.pack_into("<H", out, header + 6, count)
    struct.pack_into("<I", out, optional + 8, initialized)
    struct.pack_into("<I", out, optional + 56, address)
    struct.pack_into("<I", out, optional + 64, 0)  # the checksum: firmware ignores it, signing tools write it
    return bytes(out)


def main():
    parts = []
    for argument in sys.argv[3:]:
        name, _, path = argument.partition("=")
        with open(path, "rb") as f:
            parts.append((name, f.read()))
    with open(sys.argv[2], "rb") as f:
        stub = f.read()
    with open(sys.argv[1], "wb") as f:
        f.write(build(stub, parts))


if __name__ == "__main__":
    main()
