# SPDX-License-Identifier: Apache-2.0
"""Attestations as other programs read them, and the bill of materials as CycloneDX's own validator does.

    attestations.py ORGAN_PROGRAM MAKE_TINY_ORGAN SCHEMAS_FOLDER

Each statement fits its schema, its signature is good by openssl over DSSE's encoding, its subject is the
version's manifest, attached as a referrer. Runs in the Python of $ORGAN_PEERS when its own lacks the packages;
exits 77 without either.
"""
import base64
import copy
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import peers  # noqa: E402

peers.enter("jsonschema", "cyclonedx")
import jsonschema  # noqa: E402  (in the peers environment only)
from cyclonedx.schema import SchemaVersion  # noqa: E402
from cyclonedx.validation.json import JsonStrictValidator  # noqa: E402

TYPES = ("evaluation", "compatibility", "training")


def run(*words, env):
    done = subprocess.run([str(w) for w in words], capture_output=True, env=env, check=False)
    assert done.returncode == 0, (words, done.stderr.decode())
    return done.stdout.decode()


def verified_by_openssl(envelope, key, folder):
    """DSSE 1.0: the signature is over PAE(payloadType, payload)."""
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
    (folder / "pae").write_bytes(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))
    (folder / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    return subprocess.run(["openssl", "dgst", "-sha256", "-verify", key, "-signature", folder / "sig",
                           folder / "pae"], capture_output=True, check=False).returncode == 0


def broken(statement):
    for change in (lambda s: s.update(more=1), lambda s: s["subject"].append(s["subject"][0]),
                   lambda s: s.update(predicateType="https://slsa.dev/provenance/v1"),
                   lambda s: s["predicate"].update(more=1), lambda s: s["predicate"].popitem()):
        other = copy.deepcopy(statement)
        change(other)
        yield other


def check_attestation(path, key, identity, schema, folder):
    bundle = json.loads(path.read_text())
    assert bundle["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert verified_by_openssl(bundle["dsseEnvelope"], key, folder)
    assert not verified_by_openssl(bundle["dsseEnvelope"], folder / "other.pub", folder)
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    assert statement["subject"][0]["digest"]["sha256"] == identity.removeprefix("sha256:")
    rules = jsonschema.Draft7Validator(schema)
    rules.validate(statement)
    for other in broken(statement):
        assert not rules.is_valid(other), other
    return path.read_bytes()


def attached(registry, identity):
    """The bundles of all manifests whose subject is the version, as any OCI program finds them."""
    blobs = registry / "blobs/sha256"
    for line in json.loads((registry / "index.json").read_text())["manifests"]:
        manifest = json.loads((blobs / line["digest"].removeprefix("sha256:")).read_text())
        if manifest.get("subject", {}).get("digest") == identity:
            yield (blobs / manifest["layers"][0]["digest"].removeprefix("sha256:")).read_bytes()


def check_bom(text, identity):
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert error is None, error
    bom = json.loads(text)
    organ = bom["metadata"]["component"]
    assert organ["type"] == "machine-learning-model" and "serialNumber" not in bom and "signature" not in bom
    assert organ["hashes"] == [{"alg": "SHA-256", "content": identity.removeprefix("sha256:")}]
    metrics = organ["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert [m["value"] for m in metrics] == ["2.5", "12.1875", "0.875"], metrics
    listed = {c["bom-ref"]: c for c in bom["components"]}
    assert set(bom["dependencies"][0]["dependsOn"]) == set(listed)
    kinds = [c["type"] for c in bom["components"]]
    assert kinds[0] == "machine-learning-model" and kinds.count("data") >= 2, kinds
    for reference in organ["modelCard"]["modelParameters"]["datasets"]:
        assert listed[reference["ref"]]["properties"][0]["name"] == "organ:dataset_digest"
    damaged = copy.deepcopy(bom)
    damaged["metadata"]["component"]["type"] = "organ"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(damaged)) is not None


def main():
    organ, make, schemas = (Path(a).resolve() for a in sys.argv[1:4])
    schema = json.loads((schemas / "attestation.v1.schema.json").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        registry, key = folder / "registry", folder / "key.pub"
        env = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config"), "ORGAN_REGISTRY": str(registry)}
        run(make, folder / "organ", 1, "full", env=env)
        for name in ("key", "other"):
            run(organ, "key", "generate", folder / name, env=env)
        run(organ, "registry", "init", "--key", key, env=env)
        published = json.loads(run(organ, "publish", folder / "organ", "--key", folder / "key.key", "--json",
                                   env=env))
        version, identity = f"{published['name']}:{published['version']}", published["digest"]
        bundles = []
        for kind in TYPES:
            out = folder / f"{kind}.json"
            extra = ["--recipient", folder / "organ-donor"] if kind == "compatibility" else []
            run(organ, "attest", folder / "organ", "--type", kind, "--key", folder / "key.key", "--out", out, *extra,
                env=env)
            bundles.append(check_attestation(out, key, identity, schema, folder))
            run(organ, "attest", version, "--attach", out, env=env)
        run(organ, "registry", "index", env=env)
        assert set(bundles) < set(attached(registry, identity))
        shown = json.loads(run(organ, "show", version, "--json", env=env))["attestations"]
        assert {(one["type"], one["trusted"]) for one in shown} == {(kind, True) for kind in TYPES}, shown
        check_bom(run(organ, "show", version, "--bom", env=env), identity)
        check_bom(run(organ, "show", folder / "organ", "--bom", env=env), identity)
    print("attestations are read by others, the bill of materials is valid")
    return 0


if __name__ == "__main__":
    sys.exit(main())
