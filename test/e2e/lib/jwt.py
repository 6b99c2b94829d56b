"""JSON Web Tokens as an identity provider makes them: keys and signatures by openssl, everything else written out, so that
wrong ones can be made as well."""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import time

from . import procs


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*args, data=None):
    return subprocess.run(["openssl"] + list(args), input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout


def der_integers(der):
    """The two integers of an ECDSA signature, 32 bytes each."""
    out, at = b"", 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
    for _ in range(2):
        n = der[at + 1]
        out += der[at + 2:at + 2 + n].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + n
    return out


class Key:
    """kind: RS256, ES256, EdDSA or HS256."""

    def __init__(self, kind, kid):
        self.kind, self.kid = kind, kid
        self.file = os.path.join(procs.temp_dir("jwt"), kid + ".pem")
        if kind == "HS256":
            self.secret = os.urandom(32)
            return
        how = {"RS256": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "ES256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
               "EdDSA": ["ED25519"]}[kind]
        openssl("genpkey", "-algorithm", *how, "-out", self.file)

    def public_der(self):
        return openssl("pkey", "-in", self.file, "-pubout", "-outform", "DER")

    def public_pem(self):
        return openssl("pkey", "-in", self.file, "-pubout")

    def jwk(self):
        """The public key, or the secret, as an entry of a JWKS."""
        out = {"kid": self.kid, "alg": self.kind, "use": "sig"}
        if self.kind == "HS256":
            return dict(out, kty="oct", k=b64(self.secret))
        if self.kind == "RS256":
            n = openssl("rsa", "-in", self.file, "-noout", "-modulus").decode().split("=")[1].strip()
            return dict(out, kty="RSA", n=b64(bytes.fromhex(n)), e="AQAB")
        if self.kind == "ES256":
            point = self.public_der()[-64:]
            return dict(out, kty="EC", crv="P-256", x=b64(point[:32]), y=b64(point[32:]))
        return dict(out, kty="OKP", crv="Ed25519", x=b64(self.public_der()[-32:]))

    def sign(self, data):
        if self.kind == "HS256":
            return hmac.new(self.secret, data, hashlib.sha256).digest()
        if self.kind == "EdDSA":
            path = self.file + ".data"
            with open(path, "wb") as f:
                f.write(data)
            return openssl("pkeyutl", "-sign", "-inkey", self.file, "-rawin", "-in", path)
        der = openssl("dgst", "-sha256", "-sign", self.file, data=data)
        return der_integers(der) if self.kind == "ES256" else der

    def token(self, claims=None, header=None, ttl=300, **more):
        """A good token unless claims or header say otherwise; a claim or header that is None is left away."""
        now = int(time.time())
        body = dict({"iss": "https://id.test", "aud": "penstock", "iat": now, "exp": now + ttl, "sub": "someone"}, **(claims or {}))
        body.update(more)
        head = dict({"alg": self.kind, "typ": "JWT", "kid": self.kid}, **(header or {}))
        drop = lambda d: {k: v for k, v in d.items() if v is not None}
        text = (b64(json.dumps(drop(head)).encode()) + "." + b64(json.dumps(drop(body)).encode())).encode()
        return text.decode() + "." + b64(self.sign(text))


def write_jwks(path, keys):
    """As providers' agents do: a file replaced by another."""
    with open(path + ".new", "w") as f:
        json.dump({"keys": [k.jwk() if isinstance(k, Key) else k for k in keys]}, f)
    os.rename(path + ".new", path)
