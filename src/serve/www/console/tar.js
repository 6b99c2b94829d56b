// A tar archive (ustar) taken apart: the texts of its plain files by name.
export function untar(buffer) {
  const bytes = new Uint8Array(buffer), text = new TextDecoder(), files = {};
  const word = (at, n) => { let end = at; while (end < at + n && bytes[end]) end++; return text.decode(bytes.subarray(at, end)); };
  for (let at = 0; at + 512 <= bytes.length && bytes[at];) {
    const prefix = word(at + 345, 155), name = (prefix ? prefix + "/" : "") + word(at, 100), size = parseInt(word(at + 124, 12), 8) || 0, kind = bytes[at + 156];
    if (kind === 0 || kind === 48) files[name.replace(/^\.\//, "")] = text.decode(bytes.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}
