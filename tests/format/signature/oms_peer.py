# SPDX-License-Identifier: Apache-2.0
"""organ and the PyPI model_signing tool read each other's model.sig, and refuse the same damage.

    oms_peer.py ORGAN_PROGRAM MAKE_TINY_ORGAN VERIFY_FOLDER

Needs $ORGAN_PEERS (a Python environment with model_signing); exits 77 without it.
"""
import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
import peers  # noqa: E402

CURVES = {"p256": "prime256v1", "p384": "secp384r1", "p521": "secp521r1"}
DIGESTS = {"p256": "sha256", "p384": "sha384", "p521": "sha512"}
PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Tools:
    def __init__(self, organ, make_organ, verify_folder, python):
        self.organ, self.make_organ, self.verify_folder = organ, make_organ, verify_folder
        self.peer = [python, "-m", "model_signing"]

    def run(self, *command):
        return subprocess.run([str(c) for c in command], capture_output=True, text=True,
                              timeout=120, stdin=subprocess.DEVNULL)

    def must(self, *command):
        done = self.run(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def ours_accepts(self, folder, public):
        return self.run(self.verify_folder, folder, public).returncode

    def theirs_accepts(self, folder, public):
        return self.run(*self.peer, "verify", "key", "--public_key", public, "--signature",
                        folder / "model.sig", folder).returncode


def openssl_key(tools, work, curve):
    """A key pair that organ did not make."""
    secret, public = work / f"{curve}-openssl.key", work / f"{curve}-openssl.pub"
    tools.must("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
               f"ec_paramgen_curve:{CURVES[curve]}", "-out", secret)
    tools.must("openssl", "pkey", "-in", secret, "-pubout", "-out", public)
    secret.chmod(0o600)
    return secret, public


def check_ours(tools, work, curve):
    prefix, folder = work / f"{curve}-organ", work / f"{curve}-ours"
    tools.must(tools.organ, "key", "generate", "--curve", curve, prefix)
    tools.must(tools.make_organ, folder, "2")
    tools.must(tools.organ, "sign", folder, "--key", f"{prefix}.key")
    public = Path(f"{prefix}.pub")
    assert tools.theirs_accepts(folder, public) == 0, f"{curve}: model_signing refused ours"
    assert tools.ours_accepts(folder, public) == 0, f"{curve}: we refused ours"
    return folder, public


def check_theirs(tools, work, curve):
    secret, public = openssl_key(tools, work, curve)
    folder = work / f"{curve}-theirs"
    tools.must(tools.make_organ, folder, "2")
    tools.must(*tools.peer, "sign", "key", "--private_key", secret, "--signature",
               folder / "model.sig", folder)
    assert tools.ours_accepts(folder, public) == 0, f"{curve}: we refused model_signing's"
    return folder, public


def check_refusals(tools, work, curve, folder, public):
    _, stranger = openssl_key(tools, work, curve)
    assert tools.theirs_accepts(folder, stranger) != 0
    assert tools.ours_accepts(folder, stranger) == 5
    for name, code in (("layer.00.safetensors", 4), ("README.md", 4), ("organ.json", 4)):
        copy = work / "damaged"
        shutil.copytree(folder, copy)
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(data)
        assert tools.theirs_accepts(copy, public) != 0, f"{name}: model_signing accepted damage"
        assert tools.ours_accepts(copy, public) in (code, 5), f"{name}: we accepted damage"
        shutil.rmtree(copy)
    for name in (".model.sig.0a1b2c3d4e.tmp", ".model.sig.evil0.tmp", "notes.txt", ".hidden", ".gitignore", ".git/x"):
        copy = work / "with-more"
        shutil.copytree(folder, copy)
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text("payload")
        assert (tools.theirs_accepts(copy, public) == 0) == (tools.ours_accepts(copy, public) == 0), \
            f"{name}: one takes it and the other refuses"
        shutil.rmtree(copy)


def craft(tools, work, curve, secret, folder, change):
    """A bundle made with nothing but openssl and json, damaged by `change` before signing."""
    names = sorted(p.name for p in folder.iterdir() if p.name != "model.sig")
    resources = [{"name": n, "algorithm": "sha256",
                  "digest": hashlib.sha256((folder / n).read_bytes()).hexdigest()} for n in names]
    ignored = ["model.sig"]
    change(resources, ignored)
    root = hashlib.sha256(b"".join(bytes.fromhex(r["digest"]) for r in resources)).hexdigest()
    payload = json.dumps({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": folder.name, "digest": {"sha256": root}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {"resources": resources, "serialization": {
            "method": "files", "hash_type": "sha256", "allow_symlinks": False,
            "ignore_paths": ignored}}}).encode()
    message = work / "message"
    message.write_bytes(b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(),
                                               len(payload), payload))
    tools.must("openssl", "dgst", f"-{DIGESTS[curve]}", "-sign", secret, "-out", work / "sig",
               message)
    public = subprocess.run(["openssl", "pkey", "-in", secret, "-pubout"], capture_output=True,
                            check=True).stdout
    (folder / "model.sig").write_text(json.dumps({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": hashlib.sha256(public).hexdigest()},
                                 "tlogEntries": []},
        "dsseEnvelope": {"payload": base64.b64encode(payload).decode(),
                         "payloadType": PAYLOAD_TYPE,
                         "signatures": [{"sig": base64.b64encode(
                             (work / "sig").read_bytes()).decode(), "keyid": ""}]}}))


def hide_weights(resources, ignored):
    resources[:] = [r for r in resources if not r["name"].startswith("layer.")]
    ignored.extend(["layer.00.safetensors", "layer.01.safetensors"])


def check_sloppy_signers(tools, work, curve):
    """registry.md 2.4: what the reference verifier accepts and organ refuses."""
    secret, public = openssl_key(tools, work, curve)
    folder = work / f"{curve}-crafted"
    tools.must(tools.make_organ, folder, "2")
    craft(tools, work, curve, secret, folder, lambda resources, ignored: None)
    assert tools.ours_accepts(folder, public) == 0, "a plain openssl bundle was refused"
    assert tools.theirs_accepts(folder, public) == 0
    outside = {"name": "../outside", "algorithm": "sha256", "digest": "0" * 64}
    for change, code in (
            (lambda resources, ignored: resources.append(outside), 4),
            (lambda resources, ignored: resources.append(dict(resources[0])), 4),
            (lambda resources, ignored: ignored.append("layer.00.safetensors"), 4),
            (hide_weights, 5)):
        craft(tools, work, curve, secret, folder, change)
        assert tools.ours_accepts(folder, public) == code, f"case with exit {code} passed"
    assert tools.theirs_accepts(folder, public) == 0, "the hidden weights: the peer changed"


def main():
    organ, make_organ, verify_folder = (Path(a).resolve() for a in sys.argv[1:4])
    python = peers.python("model_signing")
    if subprocess.run([python, "-c", "import model_signing"], capture_output=True).returncode != 0:
        peers.skip("ORGAN_PEERS lacks model_signing")
    tools = Tools(organ, make_organ, verify_folder, python)
    with tempfile.TemporaryDirectory() as scratch:
        for curve in CURVES:
            work = Path(scratch) / curve
            work.mkdir()
            folder, public = check_ours(tools, work, curve)
            check_refusals(tools, work, curve, folder, public)
            folder, public = check_theirs(tools, work, curve)
            check_refusals(tools, work, curve, folder, public)
            check_sloppy_signers(tools, work, curve)
            print(f"{curve}: both directions and all refusals hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
