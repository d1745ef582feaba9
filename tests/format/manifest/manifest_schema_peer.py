# SPDX-License-Identifier: Apache-2.0
"""The schema of organ.json against its examples, our writer and our reader.

    manifest_schema_peer.py ORGAN_PROGRAM MAKE_TINY_ORGAN SCHEMAS_FOLDER

Needs $ORGAN_PEERS (a Python environment with jsonschema); exits 77 without it. With
ORGAN_TEST_ACCEPT=1 it writes the examples anew from what make_tiny_organ writes.
"""
import copy
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
import peers  # noqa: E402


def canonical(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def damaged(full):
    """Name and document of each bad example: one fault each, visible to schema and reader."""
    def change(action):
        document = copy.deepcopy(full)
        action(document)
        return document
    yield "missing-files", change(lambda d: d.pop("files"))
    yield "null-name", change(lambda d: d.update(name=None))
    yield "path-outside", change(lambda d: d["files"][1].update(path="../layer.00.safetensors"))
    yield "digest-is-a-path", change(lambda d: d["files"][0].update(digest="sha256:../../x"))
    yield "real-as-text", change(lambda d: d["evaluations"][0].update(nll="2.5"))
    yield "unknown-inside", change(lambda d: d["extraction"].update(surprise=1))
    yield "newer-version", change(lambda d: d.update(schema_version=2))
    yield "critical-field", change(lambda d: d.update(critical_future={"a": 1}))
    yield "unaligned-data", change(lambda d: d["files"][1].update(data_start=4097))
    yield "negative-size", change(lambda d: d["files"][1].update(size=-1))


def manifests(make_organ, scratch):
    for name, extra in (("full", ["2", "full"]), ("minimal", ["1"])):
        folder = scratch / name
        subprocess.run([make_organ, folder, *extra], check=True, timeout=60)
        yield name, (folder / "organ.json").read_text()


def accept(written, examples):
    for name, text in written.items():
        (examples / f"good-{name}.json").write_text(text)
    for name, document in damaged(json.loads(written["full"])):
        (examples / f"bad-{name}.json").write_text(canonical(document))


def main():
    organ, make_organ, schemas = (Path(a).resolve() for a in sys.argv[1:4])
    peers.enter("jsonschema")
    import jsonschema
    schema = json.loads((schemas / "organ.v1.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    with tempfile.TemporaryDirectory() as scratch:
        written = dict(manifests(make_organ, Path(scratch)))
        if os.environ.get("ORGAN_TEST_ACCEPT") == "1":
            accept(written, schemas / "examples")
        for name, text in written.items():
            validator.validate(json.loads(text))
    count = {"good": 0, "bad": 0}
    for path in sorted((schemas / "examples").glob("*.json")):
        kind = path.name.split("-")[0]
        count[kind] += 1
        valid = validator.is_valid(json.loads(path.read_text()))
        read = subprocess.run([organ, "inspect", path], capture_output=True, timeout=60)
        assert valid == (kind == "good"), f"{path.name}: the schema says {valid}"
        assert (read.returncode == 0) == (kind == "good"), f"{path.name}: {read.stderr.decode()}"
        assert kind == "good" or read.returncode in (1, 4), f"{path.name}: {read.returncode}"
    assert count["good"] >= 2 and count["bad"] >= 10, f"examples are missing: {count}"
    print(f"{count['good']} good and {count['bad']} bad examples, schema and reader agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
