#!/usr/bin/python3
"""Writes a disk image with a GUID partition table: gpt.py OUT SLOT.fat SLOT-MIB IDENTITY-MIB DATA-MIB [BOOT.fat]

The four partitions of a box (src/box/box.h has their names): slot A holds the file, the others are empty. With BOOT.fat, of boards
whose slots are switched by a loader, a small one before them holds that, and the firmware does not take the slots for its own. GUIDs are the same
in every image, so that a build is reproducible; scripts/flash gives each disk its own."""
import binascii
import struct
import sys
import uuid

MIB = 1 << 20
SECTOR = 512
ENTRIES, ENTRY_BYTES = 128, 128
TABLE_SECTORS = ENTRIES * ENTRY_BYTES // SECTOR
HEAD_BYTES = (2 + TABLE_SECTORS) * SECTOR
ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
LOADER = uuid.UUID("bc13c2ff-59e6-4262-a352-b275fd6f7172")  # "extended boot loader": a slot that the firmware leaves alone
IDENTITY = uuid.UUID("6b1f2d5c-0c6e-4a35-9a57-2f8e3c70d1b4")
SPACE = uuid.UUID("3f1d5a72-94f4-4f0b-8f53-70656e73746b")  # of the fixed GUIDs
FRESH = 1 << 56  # on the data partition's entry: PID 1 makes a file system there and clears it


def guid(name):
    return uuid.uuid5(SPACE, name)


def entry(kind, own, first, last, flags, name):
    return struct.pack("<16s16sQQQ72s", kind.bytes_le, own.bytes_le, first, last, flags, name.encode("utf-16-le"))


def header(disk, sectors, table, backup):
    """A header: the first one, or the backup at the disk's end."""
    here, other = (sectors - 1, 1) if backup else (1, sectors - 1)
    table_at = sectors - 1 - TABLE_SECTORS if backup else 2
    fields = lambda crc: struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, here, other, 2 + TABLE_SECTORS,
                                     sectors - 2 - TABLE_SECTORS, disk.bytes_le, table_at, ENTRIES, ENTRY_BYTES, binascii.crc32(table))
    return fields(binascii.crc32(fields(0))).ljust(SECTOR, b"\0")


def table_bytes(sectors, disk, table):
    """What stands at the disk's beginning and at its end: ((offset, bytes), (offset, bytes))."""
    # The old partition table says: all of this belongs to GPT.
    mbr = b"\0" * 446 + struct.pack("<BBBBBBBBII", 0, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF, 1, min(sectors - 1, 0xFFFFFFFF))
    table = table.ljust(ENTRIES * ENTRY_BYTES, b"\0")
    first = mbr.ljust(510, b"\0") + b"\x55\xaa" + header(disk, sectors, table, False) + table
    return (0, first), ((sectors - 1 - TABLE_SECTORS) * SECTOR, table + header(disk, sectors, table, True))


def create(path, slot, slot_mib, identity_mib, data_mib, boot=None):
    def content(file):
        with open(file, "rb") as f:
            return f.read()
    slot_content, boot_content = content(slot), content(boot) if boot else b""
    if len(slot_content) > slot_mib * MIB:
        sys.exit("image: %s does not fit into a slot of %d MiB" % (slot, slot_mib))
    slot_kind = LOADER if boot else ESP
    parts = [(ESP, "penstock-boot", len(boot_content) // MIB, 0, boot_content)] if boot else []
    parts += [(slot_kind, "penstock-a", slot_mib, 0, slot_content), (slot_kind, "penstock-b", slot_mib, 0, b""),
              (IDENTITY, "penstock-identity", identity_mib, 0, b""), (LINUX, "penstock-data", data_mib, FRESH, b"")]
    table, at, writes = b"", MIB, []
    for kind, name, mib, flags, data in parts:
        table += entry(kind, guid(name), at // SECTOR, (at + mib * MIB) // SECTOR - 1, flags, name)
        writes.append((at, data))
        at += mib * MIB
    size = at + MIB
    with open(path, "wb") as f:
        f.truncate(size)
        for offset, data in table_bytes(size // SECTOR, guid("penstock"), table):
            f.seek(offset)
            f.write(data)
        for start, data in writes:
            for i in range(0, len(data), MIB):  # holes stay holes
                if data[i:i + MIB].strip(b"\0"):
                    f.seek(start + i)
                    f.write(data[i:i + MIB])


def parse(head):
    """(disk GUID, partitions as (type, guid, first, last, flags, name)) from a disk's first HEAD_BYTES; None without a table."""
    if head[SECTOR:SECTOR + 8] != b"EFI PART":
        return None
    parts = []
    for i in range(ENTRIES):
        kind, own, first, last, flags, name = struct.unpack_from("<16s16sQQQ72s", head, 2 * SECTOR + i * ENTRY_BYTES)
        if any(kind):
            parts.append((uuid.UUID(bytes_le=kind), uuid.UUID(bytes_le=own), first, last, flags, name.decode("utf-16-le").rstrip("\0")))
    return uuid.UUID(bytes_le=head[SECTOR + 56:SECTOR + 72]), parts


def read_table(f):
    """The same of an open image."""
    f.seek(0)
    return parse(f.read(HEAD_BYTES))


def renewed_bytes(head, sectors):
    """An image's table with GUIDs that no other disk has, as table_bytes gives it."""
    table = b"".join(entry(k, uuid.uuid4(), first, last, flags, name) for k, _, first, last, flags, name in parse(head)[1])
    return table_bytes(sectors, uuid.uuid4(), table)


if __name__ == "__main__":
    create(sys.argv[1], sys.argv[2], *(int(a) for a in sys.argv[3:6]), *sys.argv[6:])
