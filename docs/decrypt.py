#!/usr/bin/env python3
"""Decrypts an object of a pg_ark repository without pg_ark: docs/repository-format.md, "Encryption".

    decrypt.py KEYFILE KEYRING OBJECT [OFFSET] | zstd -d > PLAIN

KEYFILE: one line, pgark-key-1:... or passphrase:...     KEYRING: keys/N.json of the cluster, the highest N
OBJECT:  below its cluster's directory, as the repository has it
OFFSET:  of one frame in the object, as an index has it; without it, the whole object
Needs Debian's python3-cryptography and zstd, nothing else. What was changed since pg_ark wrote it is an error.
"""
import base64
import hashlib
import hmac
import json
import struct
import sys

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HEADER, FRAME, END = 0x184D2A5A, 0x184D2A5B, 0x184D2A5C


def hmac256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def kdf(key, info, salt=b""):
    """HKDF-SHA256 of 32 bytes, which is one block of it."""
    return hmac256(hmac256(salt, key), info + b"\1")


def hpke_open(private, enc, info, aad, sealed):
    """RFC 9180, base mode, one message: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM."""

    def extract(suite, salt, label, data):
        return hmac256(salt, b"HPKE-v1" + suite + label + data)

    def expand(suite, key, label, data, size):
        return hmac256(key, struct.pack(">H", size) + b"HPKE-v1" + suite + label + data + b"\1")[:size]

    key = X25519PrivateKey.from_private_bytes(private)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    kem, suite = b"KEM\0\x20", b"HPKE\0\x20\0\1\0\2"
    secret = extract(kem, b"", b"eae_prk", key.exchange(X25519PublicKey.from_public_bytes(enc)))
    secret = expand(kem, secret, b"shared_secret", enc + public, 32)
    context = b"\0" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", info)
    secret = extract(suite, secret, b"secret", b"")
    nonce = expand(suite, secret, b"base_nonce", context, 12)
    return AESGCM(expand(suite, secret, b"key", context, 32)).decrypt(nonce, sealed, aad)


def keys_of(secret, text):
    """The roots of all keys that the secret opens, and the identity key."""
    keyring = json.loads(text)
    kind, _, value = secret.partition(b":")
    for slot in keyring["slots"]:
        if kind == b"pgark-key-1" and slot["type"] == "key":
            key = kdf(base64.b64decode(value), b"pg_ark/1 slot")
        elif kind == b"passphrase" and slot["type"] == "passphrase":
            n, r, p = slot["n"], slot["r"], slot["p"]
            salt = base64.b64decode(slot["salt"])
            key = hashlib.scrypt(value, salt=salt, n=n, r=r, p=p, dklen=32, maxmem=2000 << 20)
        else:
            continue
        try:
            roots = {k["id"]: aes_key_unwrap(key, base64.b64decode(w["wrapped"]))
                     for k in keyring["keys"] for w in k["roots"] if w["slot"] == slot["slot"]}
        except InvalidUnwrap:
            continue  # another secret's slot
        current = next(k for k in keyring["keys"] if k["id"] == keyring["current"])
        root = roots[current["id"]]
        mac = hmac256(kdf(root, b"pg_ark/1 keyring"), text[:text.rindex(b',\n  "mac": ')])
        if not hmac.compare_digest(mac, base64.b64decode(keyring["mac"])):
            sys.exit("the keyring was changed by somebody without its keys")
        return roots, aes_key_unwrap(kdf(root, b"pg_ark/1 identity"), base64.b64decode(current["identity"]))
    sys.exit("the key opens no slot of the keyring")


def data_key_of(header, roots):
    for entry in header["data_key"]:
        if entry["key"] not in roots:
            continue
        root = roots[entry["key"]]
        if "wrapped" in entry:
            return aes_key_unwrap(kdf(root, b"pg_ark/1 wrap"), base64.b64decode(entry["wrapped"]))
        return hpke_open(kdf(root, b"pg_ark/1 x25519"), base64.b64decode(entry["enc"]), b"pg_ark/1 data key",
                         header["place"].encode(), base64.b64decode(entry["sealed"]))
    sys.exit("the key opens none of the object's data keys")


def main(key_file, keyring_file, path, only=None):
    with open(key_file, "rb") as file:
        secret = file.read().rstrip(b"\r\n")
    with open(keyring_file, "rb") as file:
        roots, identity = keys_of(secret, file.read())
    with open(path, "rb") as file:
        stored = file.read()
    magic, length = struct.unpack_from("<II", stored)
    if magic != HEADER or stored[8:16] != b"PGARKHDR":
        sys.exit("not an object with a header: it is as it was, or plain zstd")
    text = stored[20:8 + length]
    header = json.loads(text)
    if header["cipher"] != "aes-256-gcm":
        sys.exit("not encrypted: zstd -d reads it")
    if not path.endswith("/" + header["place"]):
        sys.exit("in the wrong place: its own is " + header["place"])
    key = kdf(data_key_of(header, roots), b"pg_ark/1 object", kdf(identity, b"pg_ark/1 frames"))
    cipher, aad = AESGCM(key), hashlib.sha256(text).digest()

    offset = 8 + length if only is None else int(only)
    frames, ended = 0, False
    while offset < len(stored) and not ended:
        magic, length = struct.unpack_from("<II", stored, offset)
        ended = magic == END
        nonce = struct.pack(">IQ", ended, offset)
        plain = cipher.decrypt(nonce, stored[offset + 12:offset + 8 + length], aad)
        offset += 8 + length
        if not ended:
            sys.stdout.buffer.write(plain)
            frames += 1
            if only is not None:
                return
        elif struct.unpack("<QQ", plain)[1] != frames:
            sys.exit("frames are missing")
    if not ended or offset != len(stored):
        sys.exit("it was cut off, or goes on behind its end")


main(*sys.argv[1:])
