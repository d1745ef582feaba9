# SPDX-License-Identifier: Apache-2.0
"""The cases of an OMS conformance suite, by key and by certificate, with inputs made here: what organ
signs model_signing verifies and the other way round, and what is wrong both refuse, organ with the
exit code of its class. Where model_signing is laxer, the case says so.

    oms_conformance.py OMS_MODEL

Needs $ORGAN_PEERS (a Python environment with model_signing and cryptography); exits 77 without it.
"""
import base64
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
sys.path.insert(0, str(Path(__file__).parent))
import peers  # noqa: E402

peers.enter("model_signing", "cryptography", "OpenSSL")

import certificates as pki  # noqa: E402
from cryptography.hazmat.primitives import hashes  # noqa: E402
from oms_bench import (CORRUPT, PREDICATE_02, UNTRUSTED, chain_material, check, craft, edit,  # noqa: E402
                       encoding_02, key_material, listed, payload_of, run, statement_of)


def check_roundtrips(bench):
    for curve in pki.CURVES:
        signer = pki.Certified(bench.scratch, f"signer-{curve}", bench.inner, key=curve)
        by_key, by_root = ("key", signer.public), ("certificate", bench.root.pem)
        folder = bench.model()
        bench.we_sign(folder, signer.secret)
        bench.both(f"{curve}: our key", folder, by_key, 0)
        bench.we_sign(folder, signer.secret, signer.pem, bench.chain)
        bench.both(f"{curve}: our certificate", folder, by_root, 0)
        bench.both(f"{curve}: our certificate asked by key", folder, by_key, UNTRUSTED)
        bench.they_sign(folder, signer)
        bench.both(f"{curve}: their key", folder, by_key, 0)
        bench.both(f"{curve}: their key asked by root", folder, by_root, UNTRUSTED)
        bench.they_sign(folder, signer, [bench.inner.pem, bench.root.pem])
        bench.both(f"{curve}: their certificate", folder, by_root, 0)
        bench.they_sign(folder, signer, [bench.inner.pem])
        bench.both(f"{curve}: their certificate, root left out", folder, by_root, 0)
    single = bench.model({"one": b"1"})
    bench.we_sign(single, bench.leaf.secret)
    bench.both("one file", single, ("key", bench.leaf.public), 0)


def check_determinism(bench):
    """The same model gives the same statement; both tools list the same files and digests."""
    folder = bench.model()
    bench.we_sign(folder, bench.leaf.secret)
    first = payload_of(folder)
    bench.we_sign(folder, bench.leaf.secret)
    check(payload_of(folder) == first, "two signings of one model differ")
    bench.they_sign(folder, bench.leaf)
    digests = [{r["name"]: r["digest"] for r in p["predicate"]["resources"]}
               for p in (first, payload_of(folder))]
    check(digests[0] == digests[1], "organ and model_signing list other files")


def check_folders(bench):
    how = ("key", bench.leaf.public)
    names = ("tampered", "missing", "extra", "extra in a folder", "symlink outside", "symlink cycle")
    for name in names:
        folder = bench.model()
        bench.they_sign(folder, bench.leaf)
        code = CORRUPT
        if name == "tampered":
            (folder / "weights.bin").write_bytes(b"\x00\x02" * 500)
        elif name == "missing":
            (folder / "sub/inner.txt").unlink()
        elif name.startswith("extra"):
            (folder / ("sub" if "folder" in name else ".") / "more").write_bytes(b"more")
            code = UNTRUSTED
        elif name == "symlink outside":
            (folder / "link").symlink_to(bench.root.pem)
        else:
            (folder / "sub/up").symlink_to(folder)
        bench.both(name, folder, how, code)
        (folder / "model.sig").unlink()
        if name.startswith("symlink"):
            check(bench.ours("sign", folder, bench.leaf.secret).returncode == 2,
                  f"{name}: organ signs it")
    bare = bench.scratch / "nothing"
    bare.mkdir()
    check(bench.ours("sign", bare, bench.leaf.secret).returncode == 2, "organ signs no files")


def negative_bundles():
    """What is done to a good bundle or statement, and organ's exit code."""
    def put(path, value):
        def change(document):
            for step in path[:-1]:
                document = document[step]
            document[path[-1]] = value
        return change

    def drop(*path):
        def change(document):
            for step in path[:-1]:
                document = document[step]
            del document[path[-1]]
        return change

    envelope = "dsseEnvelope"
    flipped = base64.b64encode(b"0\x06\x02\x01\x01\x02\x01\x01").decode()
    return {"bundle": [
        ("media type", put(["mediaType"], "application/json"), CORRUPT),
        ("payload type", put([envelope, "payloadType"], "application/json"), CORRUPT),
        ("no envelope", drop(envelope), CORRUPT),
        ("no material", drop("verificationMaterial"), CORRUPT),
        ("no signatures", put([envelope, "signatures"], []), CORRUPT),
        ("other signature", put([envelope, "signatures", 0, "sig"], flipped), UNTRUSTED),
        ("other payload", put([envelope, "payload"], base64.b64encode(b"{}").decode()), UNTRUSTED),
        ("no payload", drop(envelope, "payload"), CORRUPT),
        ("extra key", put(["more"], 1), CORRUPT),
    ], "statement": [
        ("statement type", put(["_type"], "https://in-toto.io/Statement/v0.1"), CORRUPT),
        ("predicate type", put(["predicateType"], "https://slsa.dev/provenance/v1"), CORRUPT),
        ("no predicate", drop("predicate"), CORRUPT),
        ("no subject", put(["subject"], []), CORRUPT),
        ("two subjects", lambda s: s["subject"].append(s["subject"][0]), CORRUPT),
        ("no resources", put(["predicate", "resources"], []), CORRUPT),
        ("resources left out", drop("predicate", "resources"), CORRUPT),
        ("other root", put(["subject", 0, "digest", "sha256"], "0" * 64), CORRUPT),
        ("unknown hash", put(["predicate", "resources", 0, "algorithm"], "md5"), CORRUPT),
        ("unknown method", put(["predicate", "serialization", "method"], "tar"), CORRUPT),
    ]}


def check_negatives(bench):
    signer = pki.Certified(bench.scratch, "careless", bench.root)
    ways = ((("key", signer.public), key_material(signer)),
            (("certificate", bench.root.pem), chain_material(signer, bench.root)))
    for how, material in ways:
        folder = bench.model()
        craft(folder, signer, material, statement_of(folder))
        bench.both(f"{how[0]}: crafted", folder, how, 0)
        whole = (folder / "model.sig").read_bytes()
        for name, text in (("empty", b""), ("truncated", whole[:len(whole) // 2]),
                           ("no JSON", b"model"), ("a list", b"[]")):
            (folder / "model.sig").write_bytes(text)
            bench.both(f"{how[0]}: {name}", folder, how, CORRUPT)
        for name, change, code in negative_bundles()["bundle"]:
            (folder / "model.sig").write_bytes(whole)
            edit(folder, change)
            bench.both(f"{how[0]}: {name}", folder, how, code)
        for name, change, code in negative_bundles()["statement"]:
            statement = statement_of(folder)
            change(statement)
            craft(folder, signer, material, statement)
            bench.both(f"{how[0]}: {name}", folder, how, code)
    craft(folder, bench.leaf, key_material(bench.leaf), statement_of(folder))
    bench.both("wrong key", folder, ("key", signer.public), UNTRUSTED)


def check_history(bench):
    """Bundles as older releases wrote them."""
    signer = pki.Certified(bench.scratch, "elder", bench.root, key="p384")
    by_key, by_root = ("key", signer.public), ("certificate", bench.root.pem)
    raw = {"rawBytes": base64.b64encode(signer.public.read_bytes()).decode(),
           "keyDetails": "PKIX_ECDSA_P384_SHA_384"}
    chain = chain_material(signer, bench.root)
    del chain["tlogEntries"]
    for name, how, material in (("key", by_key, {"publicKey": raw}), ("certificate", by_root, chain)):
        folder = bench.model()
        statement = statement_of(folder)
        del statement["predicate"]["serialization"]["ignore_paths"]
        craft(folder, signer, material, statement)
        edit(folder, lambda d: d["dsseEnvelope"]["signatures"][0].update(keyid=None))
        bench.both(f"0.3.1 to 1.0: {name}", folder, how, 0)
        (folder / "config.json").write_bytes(b"[]")
        bench.both(f"0.3.1 to 1.0: {name}, tampered", folder, how, CORRUPT)
    folder = bench.model()
    statement = {"_type": "https://in-toto.io/Statement/v1", "predicateType": PREDICATE_02,
                 "subject": [{"name": r["name"], "digest": {"sha256": r["digest"]}}
                             for r in listed(folder)],
                 "predicate": {"unused": "Unused, just passed due to API requirements"}}
    craft(folder, signer, chain, statement, encoding_02, hashes.SHA256)
    bench.both("0.2: certificate, not asked for", folder, by_root, UNTRUSTED, False)
    bench.both("0.2: certificate", folder, by_root, 0, more=("--legacy",))
    (folder / "more").write_bytes(b"more")
    bench.both("0.2: extra file", folder, by_root, UNTRUSTED, more=("--legacy",))
    (folder / "more").unlink()
    craft(folder, bench.leaf, chain, statement, encoding_02, hashes.SHA256)
    bench.both("0.2: another key", folder, by_root, UNTRUSTED, more=("--legacy",))
    craft(folder, signer, chain, statement_of(folder), encoding_02, hashes.SHA256)
    # The mistake of 0.2 around a statement of 1.0: model_signing takes it, nothing ever wrote it.
    bench.both("0.2: encoding of another statement", folder, by_root, UNTRUSTED, False,
               more=("--legacy",))
    small = pki.Certified(bench.scratch, "small", bench.root)
    craft(folder, small, key_material(small), statement, encoding_02)
    bench.both("0.2: key", folder, ("key", small.public), 0, more=("--legacy",))


if __name__ == "__main__":
    sys.exit(run(check_roundtrips, check_determinism, check_folders, check_negatives,
                 check_history))
