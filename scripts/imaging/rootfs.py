#!/usr/bin/python3
"""The root file system as a cpio archive: rootfs.py OUT.cpio MANIFEST TIME BOARD-MODULES KERNEL-DIR KEYS-DIR|- NAME=FOLDER...

What is in it, and with which modes, is the manifest's word alone, so that neither the builder's umask nor leftovers get in.
Entries are sorted and owned by root, every time is TIME: the same inputs give the same bytes. An argument /PATH=FILE puts
another file in the place of one of the manifest's: tests make broken images so."""
import lzma
import os
import re
import subprocess
import sys
import tempfile

KINDS = {"dir": 0o040000, "file": 0o100000, "link": 0o120000, "c": 0o020000, "b": 0o060000}


class Entry:
    def __init__(self, kind, path, mode, data=b"", device=(0, 0)):
        self.kind, self.path, self.mode, self.data, self.device = kind, path, mode, data, device


def read(path):
    with open(path, "rb") as f:
        return f.read()


def expand(source, folders):
    """A manifest's SOURCE as a path of this machine."""
    match = re.match(r"\$(\w+)/(.*)", source)
    return os.path.join(folders[match[1]], match[2]) if match else source


def normal(name):
    return name.replace("-", "_")


def module_files(kernel, wanted):
    """The kernel's modules of these names and all that they need, as {path below lib/modules: content}."""
    release = os.listdir(os.path.join(kernel, "lib/modules"))[0]
    base = os.path.join(kernel, "lib/modules", release)
    needs, path_of = {}, {}
    for line in open(os.path.join(base, "modules.dep")):
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
        path_of[normal(os.path.basename(path).split(".ko")[0])] = path
    builtin = {normal(os.path.basename(line.strip())[:-3]) for line in open(os.path.join(base, "modules.builtin"))}
    softdeps = {}
    for line in open(os.path.join(base, "modules.softdep")):
        words = line.split()
        if words[:1] == ["softdep"]:
            softdeps.setdefault(normal(words[1]), []).extend(w for w in words[2:] if not w.endswith(":"))
    chosen, todo = set(), []
    for name in wanted:
        if normal(name) in path_of:
            todo.append(path_of[normal(name)])
        elif normal(name) not in builtin:
            sys.exit("image: the kernel has no module %s, neither loadable nor built in" % name)
    while todo:
        path = todo.pop()
        if path in chosen:
            continue
        chosen.add(path)
        todo += needs[path]
        # What a module asks for without needing it: taken where the kernel has it.
        name = normal(os.path.basename(path).split(".ko")[0])
        todo += [path_of[normal(n)] for n in softdeps.get(name, []) if normal(n) in path_of]
    files = {}
    for path in sorted(chosen):
        content = read(os.path.join(base, path))
        # Unpacked here: the archive as a whole compresses better. The kernel's signature at the end stays.
        files[re.sub(r"\.xz$", "", path)] = lzma.decompress(content) if path.endswith(".xz") else content
    return release, files, {n: read(os.path.join(base, n)) for n in ("modules.builtin", "modules.builtin.modinfo", "modules.order")}


def depmod(release, files, given):
    """modules.dep, .alias and .softdep that name these modules alone."""
    with tempfile.TemporaryDirectory() as top:
        base = os.path.join(top, "lib/modules", release)
        for path, content in list(files.items()) + list(given.items()):
            os.makedirs(os.path.dirname(os.path.join(base, path)), exist_ok=True)
            with open(os.path.join(base, path), "wb") as f:
                f.write(content)
        subprocess.run(["/sbin/depmod", "-b", top, release], check=True, stderr=subprocess.DEVNULL)
        return {n: read(os.path.join(base, n)) for n in ("modules.dep", "modules.alias", "modules.softdep")}


def modules(at, kernel, board_list):
    wanted = [w for line in open(board_list) for w in line.split("#")[0].split()]
    release, files, given = module_files(kernel, wanted)
    files.update(depmod(release, files, given))
    folders = {at, "%s/%s" % (at, release)}
    for path, content in files.items():
        whole = "%s/%s/%s" % (at, release, path)
        yield Entry("file", whole, 0o644, content)
        folders |= {whole[:i] for i, c in enumerate(whole) if c == "/" and i >= len(at)}
    for folder in folders:
        yield Entry("dir", folder, 0o755)


def keys(at, folder):
    yield Entry("dir", at, 0o755)
    if folder != "-":
        for name in os.listdir(folder):
            if name.endswith(".pub"):
                yield Entry("file", "%s/%s" % (at, name), 0o644, read(os.path.join(folder, name)))


def entries(manifest, board_list, kernel, keys_folder, folders, replaced):
    for line in open(manifest):
        words = line.split("#")[0].split()
        if not words:
            continue
        kind, path = words[0], words[1]
        if kind == "dir":
            yield Entry("dir", path, int(words[2], 8))
        elif kind == "file":
            yield Entry("file", path, int(words[2], 8), read(replaced.pop(path, None) or expand(words[3], folders)))
        elif kind == "link":
            yield Entry("link", path, 0o777, words[2].encode())
        elif kind == "node":
            yield Entry(words[3], path, int(words[2], 8), device=(int(words[4]), int(words[5])))
        elif kind == "modules":
            yield from modules(path, kernel, board_list)
        elif kind == "keys":
            yield from keys(path, keys_folder)
        else:
            sys.exit("image: %s: what is `%s`?" % (manifest, kind))
    if replaced:
        sys.exit("image: nothing in the manifest to replace: %s" % " ".join(replaced))


def pad(data):
    return data + b"\0" * (-len(data) % 4)


def cpio(all_entries, seconds):
    """The archive in the format that the kernel unpacks (newc)."""
    out = []
    for inode, e in enumerate(sorted(all_entries, key=lambda e: e.path), 1):
        name = e.path.strip("/").encode() or b"."
        fields = (inode, KINDS[e.kind] | e.mode, 0, 0, 2 if e.kind == "dir" else 1, seconds, len(e.data), 0, 0,
                  e.device[0], e.device[1], len(name) + 1, 0)
        out.append(pad(b"070701" + b"".join(b"%08X" % f for f in fields) + name + b"\0") + pad(e.data))
    out.append(pad(b"070701" + b"".join(b"%08X" % f for f in (0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0)) + b"TRAILER!!!\0"))
    return b"".join(out)


def main():
    out, manifest, seconds, board_list, kernel, keys_folder = sys.argv[1:7]
    pairs = [a.split("=", 1) for a in sys.argv[7:]]
    folders = {k: v for k, v in pairs if not k.startswith("/")}
    replaced = {k: v for k, v in pairs if k.startswith("/")}
    archive = cpio(list(entries(manifest, board_list, kernel, keys_folder, folders, replaced)), int(seconds))
    with open(out, "wb") as f:
        f.write(archive)


if __name__ == "__main__":
    main()
