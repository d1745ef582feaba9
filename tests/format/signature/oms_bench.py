# SPDX-License-Identifier: Apache-2.0
"""What the OMS conformance tests share: a bench with authorities, signers and both tools, and bundles
made of nothing but JSON and a signature. Its importer has entered the peers' Python."""
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import certificates as pki
from cryptography import x509
from model_signing import hashing, signing, verifying

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE, PREDICATE_02 = ("https://model_signing/signature/v1.0",
                           "https://model_signing/Digests/v0.1")
CORRUPT, UNTRUSTED = 4, 5
FILES = {"weights.bin": b"\x00\x01" * 500, "config.json": b"{}", "empty": b"",
         "sub/inner.txt": b"inner", "name with spaces.txt": b"spaces", ".hidden": b"dot",
         "größe-模型.txt": "größe".encode(), "a-b/x": b"1", "a/x": b"2"}


def check(condition, message):
    if not condition:
        raise AssertionError(message)


class Bench:
    def __init__(self, tool, scratch):
        self.tool, self.scratch, self.count = tool, scratch, 0
        self.root = pki.Certified(scratch, "root", ca=True)
        self.inner = pki.Certified(scratch, "inner", self.root, ca=True, path_length=0, key="p384")
        self.chain = scratch / "chain.pem"
        self.chain.write_bytes(self.inner.pem.read_bytes() + self.root.pem.read_bytes())
        self.leaf = pki.Certified(scratch, "leaf", self.inner, names=[
            x509.RFC822Name("legal@acme.example"), x509.DNSName("acme.example"),
            x509.UniformResourceIdentifier("https://acme.example/legal")])
        self.stranger = pki.Certified(scratch, "stranger", ca=True)

    def model(self, files=None):
        self.count += 1
        folder = self.scratch / f"model-{self.count}"
        for name, data in (FILES if files is None else files).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return folder

    def ours(self, *arguments):
        return subprocess.run([self.tool, *map(str, arguments)], capture_output=True, text=True,
                              timeout=120, check=False)

    def we_verify(self, folder, how, *more):
        return self.ours("verify", folder, *how, *more)

    def we_sign(self, folder, *arguments):
        done = self.ours("sign", folder, *arguments)
        check(done.returncode == 0, f"organ does not sign: {done.stderr}")

    def hashing(self, folder):
        return (hashing.Config().set_ignored_paths(
            paths=[folder / "model.sig"], ignore_git_paths=True).set_allow_symlinks(False))

    def they_verify(self, folder, how):
        """None, or why model_signing refuses."""
        method, given = how
        config = verifying.Config().set_hashing_config(self.hashing(folder))
        try:
            if method == "key":
                config.use_elliptic_key_verifier(public_key=given)
            else:
                config.use_certificate_verifier(certificate_chain=[given])
            config.verify(folder, folder / "model.sig")
        except Exception as error:  # whatever it throws, it refuses
            return f"{type(error).__name__}: {error}"
        return None

    def they_sign(self, folder, signer, chain=()):
        config = signing.Config().set_hashing_config(self.hashing(folder))
        if chain:
            config.use_certificate_signer(private_key=signer.secret,
                                          signing_certificate=signer.pem,
                                          certificate_chain=list(chain))
        else:
            config.use_elliptic_key_signer(private_key=signer.secret)
        config.sign(folder, folder / "model.sig")

    def both(self, name, folder, how, code, theirs_refuse=None, more=()):
        """organ's exit code, and that model_signing agrees unless the case says otherwise."""
        got = self.we_verify(folder, how, *more)
        check(got.returncode == code,
              f"{name}: organ exits {got.returncode}, expected {code}: {got.stdout}{got.stderr}")
        refusal = self.they_verify(folder, how)
        expected = code != 0 if theirs_refuse is None else theirs_refuse
        check((refusal is not None) == expected, f"{name}: model_signing says {refusal}")


def listed(folder):
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*")
                   if p.is_file() and p.name != "model.sig")
    return [{"name": n, "algorithm": "sha256",
             "digest": hashlib.sha256((folder / n).read_bytes()).hexdigest()} for n in names]


def statement_of(folder):
    resources = listed(folder)
    root = hashlib.sha256(b"".join(bytes.fromhex(r["digest"]) for r in resources)).hexdigest()
    return {"_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": folder.name, "digest": {"sha256": root}}],
            "predicateType": PREDICATE,
            "predicate": {"resources": resources, "serialization": {
                "method": "files", "hash_type": "sha256", "allow_symlinks": False,
                "ignore_paths": ["model.sig"]}}}


def encoding(payload):
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def encoding_02(payload):
    """As model_signing 0.2 built it: the payload through Python's text of a byte string."""
    return f"DSSEV1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} {payload}".encode()


def key_material(signer):
    hint = hashlib.sha256(signer.public.read_bytes()).hexdigest()
    return {"publicKey": {"hint": hint}, "tlogEntries": []}


def chain_material(*chain):
    return {"x509CertificateChain": {"certificates": [
        {"rawBytes": base64.b64encode(c.der()).decode()} for c in chain]}, "tlogEntries": []}


def craft(folder, signer, material, statement, encode=encoding, digest=None):
    """A bundle made of nothing but JSON and a signature."""
    payload = json.dumps(statement, indent=2).encode()
    (folder / "model.sig").write_text(json.dumps({
        "mediaType": MEDIA_TYPE, "verificationMaterial": material,
        "dsseEnvelope": {"payload": base64.b64encode(payload).decode(),
                         "payloadType": PAYLOAD_TYPE, "signatures": [
                             {"sig": base64.b64encode(signer.sign(encode(payload), digest)).decode(),
                              "keyid": ""}]}}))


def edit(folder, change):
    path = folder / "model.sig"
    bundle = json.loads(path.read_text())
    change(bundle)
    path.write_text(json.dumps(bundle))


def payload_of(folder):
    bundle = json.loads((folder / "model.sig").read_text())
    return json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))


def run(*parts):
    """Each part with a bench of its own over the program that the command line names."""
    os.environ.pop("SOURCE_DATE_EPOCH", None)
    tool = Path(sys.argv[1]).resolve()
    for part in parts:
        with tempfile.TemporaryDirectory() as scratch:
            part(Bench(tool, Path(scratch)))
        print(f"{part.__name__}: holds")
    return 0
