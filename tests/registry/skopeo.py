# SPDX-License-Identifier: Apache-2.0
"""skopeo reads a registry folder as the OCI layout it is, copies a version out and back.

    skopeo.py ORGAN_PROGRAM MAKE_TINY_ORGAN

Exits 77 without skopeo.
"""
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TAG = "legal/contracts:1.0.0"
MODEL = "application/vnd.cncf.model.manifest.v1+json"


def run(*command):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout


def blob(layout, digest):
    data = (layout / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()
    assert "sha256:" + hashlib.sha256(data).hexdigest() == digest, digest
    return data


def check_layout(layout, digest):
    """Every blob of the version is in another program's copy, byte for byte."""
    index = json.loads((layout / "index.json").read_text())
    assert [m["digest"] for m in index["manifests"]] == [digest], index
    manifest = json.loads(blob(layout, digest))
    assert manifest["artifactType"] == MODEL
    config = json.loads(blob(layout, manifest["config"]["digest"]))
    assert config["modelfs"]["type"] == "layers" and config["descriptor"]["name"]
    for layer in manifest["layers"]:
        data = blob(layout, layer["digest"])
        assert len(data) == layer["size"]
        assert layer["annotations"]["org.opencontainers.image.title"] == \
            layer["annotations"]["org.cncf.model.filepath"]


def main():
    organ, make = (Path(a).resolve() for a in sys.argv[1:3])
    if not shutil.which("skopeo"):
        print("skipped: skopeo is needed", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        registry = folder / "registry"
        run(make, folder / "organ")
        run(organ, "key", "generate", folder / "key")
        run(organ, "registry", "init", "--registry", registry, "--key", folder / "key.pub")
        published = json.loads(run(organ, "publish", folder / "organ", TAG, "--registry", registry,
                                   "--key", folder / "key.key", "--json"))
        digest = published["digest"]
        run(organ, "registry", "index", "--registry", registry)

        raw = run("skopeo", "inspect", "--raw", f"oci:{registry}:{TAG}")
        assert "sha256:" + hashlib.sha256(raw.encode()).hexdigest() == digest
        run("skopeo", "--insecure-policy", "copy", f"oci:{registry}:{TAG}", f"oci:{folder}/out:{TAG}")
        check_layout(folder / "out", digest)
        run("skopeo", "--insecure-policy", "copy", f"oci:{folder}/out:{TAG}", f"dir:{folder}/dir")
        run("skopeo", "--insecure-policy", "copy", f"dir:{folder}/dir", f"oci:{folder}/back:{TAG}")
        check_layout(folder / "back", digest)
        run(organ, "verify", "--all", "--registry", registry)
        check_signature(registry, digest)
    print("3 cases passed, 0 failed")
    return 0


def check_signature(registry, digest):
    """The signature is a referrer of the version, as OCI 1.1 wants it."""
    index = json.loads((registry / "index.json").read_text())
    found = [m for m in index["manifests"] if "annotations" not in m]
    assert len(found) == 1
    manifest = json.loads(blob(registry, found[0]["digest"]))
    assert manifest["subject"]["digest"] == digest
    assert manifest["artifactType"] == manifest["layers"][0]["mediaType"] \
        == "application/vnd.dev.sigstore.bundle.v0.3+json"
    blob(registry, manifest["config"]["digest"])
    blob(registry, manifest["layers"][0]["digest"])


if __name__ == "__main__":
    sys.exit(main())
