# SPDX-License-Identifier: Apache-2.0
"""Chains, identities and time stamps of OMS certificates: what organ refuses, and whether
model_signing agrees.

    oms_certificates_peer.py OMS_MODEL

Needs $ORGAN_PEERS (a Python environment with model_signing and cryptography); exits 77 without it.
"""
import base64
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
sys.path.insert(0, str(Path(__file__).parent))
import peers  # noqa: E402

peers.enter("model_signing", "cryptography", "OpenSSL")

import certificates as pki  # noqa: E402
from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: E402
from oms_bench import CORRUPT, UNTRUSTED, chain_material, check, craft, edit, run, statement_of  # noqa: E402


def check_authorities(bench):
    """Chains. model_signing judges at the leaf's first moment, so it misses the end of one."""
    how = ("certificate", bench.root.pem)
    old = pki.NOW - 100 * pki.DAY
    weak = pki.Certified(bench.scratch, "weak", bench.root, ca=True, key="rsa1024")
    no_ca = pki.Certified(bench.scratch, "no-ca", bench.root, key_usage=("key_cert_sign",))
    deep = pki.Certified(bench.scratch, "deep", bench.inner, ca=True)
    servers = pki.Certified(bench.scratch, "servers", bench.root, ca=True,
                            purposes=[ExtendedKeyUsageOID.SERVER_AUTH])

    def leaf(name, issuer=bench.root, chain=(), **options):
        return name, pki.Certified(bench.scratch, f"case-{name.replace(' ', '-')}", issuer,
                                   **options), chain

    same, laxer = None, False  # model_signing refuses it too; takes it
    cases = (
        (leaf("expired", begin=old, end=pki.NOW - pki.DAY), UNTRUSTED, laxer),
        (leaf("to come", begin=pki.NOW + 5 * pki.DAY), UNTRUSTED, laxer),
        (leaf("wrong authority", bench.stranger, (bench.stranger,)), UNTRUSTED, same),
        (leaf("issuer left out", bench.inner), UNTRUSTED, same),
        (leaf("issuer is no authority", no_ca, (no_ca,)), UNTRUSTED, same),
        (leaf("path too long", deep, (deep, bench.inner)), UNTRUSTED, same),
        (leaf("issuer with RSA 1024", weak, (weak,)), UNTRUSTED, laxer),
        (leaf("no usage", key_usage=()), UNTRUSTED, same),
        (leaf("encipherment only", key_usage=("key_agreement",)), UNTRUSTED, same),
        (leaf("an authority", ca=True), UNTRUSTED, same),
        (leaf("code signing alone", key_usage=(),
              purposes=[ExtendedKeyUsageOID.CODE_SIGNING]), 0, same),
        (leaf("signature and code signing", purposes=[ExtendedKeyUsageOID.CODE_SIGNING]), 0, same),
        (leaf("signature for servers", purposes=[ExtendedKeyUsageOID.SERVER_AUTH]), UNTRUSTED,
         laxer),
        (leaf("issuer for servers", servers, (servers,)), UNTRUSTED, laxer),
    )
    for (name, signer, chain), code, theirs in cases:
        folder = bench.model()
        craft(folder, signer, chain_material(signer, *chain), statement_of(folder))
        bench.both(name, folder, how, code, theirs)
    folder = bench.model()
    craft(folder, bench.leaf, chain_material(bench.leaf, bench.inner), statement_of(folder))
    bench.both("wrong root", folder, ("certificate", bench.stranger.pem), UNTRUSTED)
    craft(folder, bench.stranger, chain_material(bench.leaf, bench.inner), statement_of(folder))
    bench.both("signed with another key", folder, how, UNTRUSTED)
    craft(folder, bench.leaf, chain_material(*[bench.leaf] * 11), statement_of(folder))
    check(bench.we_verify(folder, how).returncode == CORRUPT, "a chain of eleven")
    rsa_leaf = pki.Certified(bench.scratch, "rsa-leaf", bench.root, key="rsa2048")
    craft(folder, bench.leaf, chain_material(rsa_leaf, bench.root), statement_of(folder))
    bench.both("a signer with RSA", folder, how, CORRUPT)


def check_identities(bench):
    how = ("certificate", bench.root.pem)
    folder = bench.model()
    bench.we_sign(folder, bench.leaf.secret, bench.leaf.pem, bench.chain)
    for identity in ("CN=leaf,O=Acme", "email:legal@acme.example", "DNS:acme.example",
                     "URI:https://acme.example/legal"):
        done = bench.we_verify(folder, how, "--identity", identity)
        check(done.returncode == 0, f"{identity}: {done.stderr}")
    for identity in ("legal@acme.example", "CN=leaf", "DNS:acme.example.org", "email:Legal@acme.example"):
        done = bench.we_verify(folder, how, "--identity", identity)
        check(done.returncode == UNTRUSTED, f"{identity}: exits {done.returncode}")


def check_time_stamps(bench):
    how, files = ("certificate", bench.root.pem), bench.scratch
    tsa_root = pki.Certified(files, "tsa-root", ca=True)
    authority = pki.time_stamp_authority(files, "tsa", tsa_root)
    folder = bench.model()
    bench.we_sign(folder, bench.leaf.secret, bench.leaf.pem, bench.chain)
    bundle, request, response = folder / "model.sig", files / "tsq", files / "tsr"
    unstamped = bundle.read_bytes()
    check(bench.ours("request", bundle, request).returncode == 0, "no request")
    pki.stamp(files, authority, request, response)
    done = bench.ours("stamp", bundle, response)
    check(done.returncode == 0, f"no stamp: {done.stderr}")
    check(bench.ours("stamp", bundle, response).returncode == 2, "the same time stamp twice")
    bench.both("stamped", folder, how, 0)
    later = ("--now", int((pki.NOW + 1000 * pki.DAY).timestamp()))
    cases = (("expired", (), UNTRUSTED), ("saved by its time stamp", ("--tsa", tsa_root.pem), 0),
             ("another authority", ("--tsa", bench.stranger.pem), UNTRUSTED))
    for name, more, code in cases:
        done = bench.we_verify(folder, how, *later, *more)
        check(done.returncode == code, f"{name}: exits {done.returncode}: {done.stderr}")
    earlier = ("--now", int((pki.NOW - pki.DAY / 2).timestamp()), "--tsa", tsa_root.pem)
    check(bench.we_verify(folder, how, *earlier).returncode == 0, "a time to come proves nothing")
    stamped = bundle.read_bytes()
    check_bad_stamps(bench, folder, how, later, tsa_root, response)
    # A time stamp of another signature saves nothing, and is not taken.
    bench.we_sign(folder, bench.leaf.secret, bench.leaf.pem, bench.chain)
    check(bench.ours("stamp", bundle, response).returncode == 2, "a stamp of another signature")
    fresh = json.loads(bundle.read_text())
    fresh["verificationMaterial"]["timestampVerificationData"] = (
        json.loads(stamped)["verificationMaterial"]["timestampVerificationData"])
    bundle.write_text(json.dumps(fresh))
    done = bench.we_verify(folder, how, *later, "--tsa", tsa_root.pem)
    check(done.returncode == UNTRUSTED, f"a moved time stamp: exits {done.returncode}")
    check(unstamped != stamped, "a stamp changes the bundle")


def check_bad_stamps(bench, folder, how, later, tsa_root, response):
    bundle = folder / "model.sig"
    good = bundle.read_bytes()
    data = response.read_bytes()
    stamps = lambda document: document["verificationMaterial"]["timestampVerificationData"]  # noqa: E731

    def entries(*items):
        return [{"signedTimestamp": base64.b64encode(item).decode()} for item in items]

    for name, items, code in (("cut", [data[:-1]], UNTRUSTED), ("trailing", [data + b"\0"], UNTRUSTED),
                              ("empty", [b""], UNTRUSTED), ("too long", [b"0" * 70000], UNTRUSTED),
                              ("no DER", [b"stamp"], UNTRUSTED), ("nine", [data] * 9, CORRUPT)):
        bundle.write_bytes(good)
        edit(folder, lambda d, i=items: stamps(d).update(rfc3161Timestamps=entries(*i)))
        done = bench.we_verify(folder, how, *later, "--tsa", tsa_root.pem)
        check(done.returncode == code, f"time stamp {name}: exits {done.returncode}: {done.stderr}")
    refused = 0
    for at in range(0, len(data), 7):
        bundle.write_bytes(good)
        broken = data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
        edit(folder, lambda d, b=broken: stamps(d).update(rfc3161Timestamps=entries(b)))
        code = bench.we_verify(folder, how, *later, "--tsa", tsa_root.pem).returncode
        check(code in (0, UNTRUSTED), f"a bit of byte {at}: exits {code}")
        refused += code == UNTRUSTED
    # Some bytes are in no signature: the status text, unsigned copies of certificates.
    check(refused > len(range(0, len(data), 7)) // 2, f"only {refused} flipped bits are refused")
    bundle.write_bytes(good)


if __name__ == "__main__":
    sys.exit(run(check_authorities, check_identities, check_time_stamps))
