# SPDX-License-Identifier: Apache-2.0
"""Receipts, donor_metadata.json and `organ check --json` follow their schemas.

usage: documents.py ORGAN SCHEMAS

Needs $ORGAN_PEERS (jsonschema); exits 77 without it.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
import peers  # noqa: E402
from tiny_model import write_model  # noqa: E402


def run(organ, *arguments, code=0):
    result = subprocess.run([organ, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != code:
        raise SystemExit(f"organ {arguments[0]}: exit {result.returncode}, expected {code}: "
                         f"{result.stderr}")
    return result.stdout


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    peers.enter("jsonschema")
    import jsonschema
    organ, schemas = sys.argv[1], pathlib.Path(sys.argv[2])

    def validate(text, name):
        schema = json.loads((schemas / name).read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.Draft202012Validator(schema).validate(json.loads(text))
        return json.loads(text)

    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        os.environ["HOME"] = str(work)  # no registry, no policy of the user's
        os.environ.pop("XDG_DATA_HOME", None)
        os.environ.pop("ORGAN_REGISTRY", None)
        model = write_model(work / "model")
        run(organ, "extract", model, "--layers", "1:3", "--out", work / "cut")
        check = validate(run(organ, "check", work / "cut", "--recipient", model, "--json"),
                         "check.v1.schema.json")
        assert check["level"] == "A" and check["fitting_positions"] == [0, 1, 2], check
        refused = run(organ, "check", work / "cut", "--recipient", model, "--at", 3, "--json",
                      code=3)
        refused = validate(refused, "check.v1.schema.json")
        assert refused["level"] == "D" and refused["findings"][0]["rule"] == "range", refused
        run(organ, "export", work / "cut", "--format", "paper", "--out", work / "pair")
        pair = validate((work / "pair/donor_metadata.json").read_text(), "donor-metadata.v1.schema.json")
        assert pair["layer_indices"] == [1, 2], pair
        run(organ, "import", work / "pair", "--into", model, "--out", work / "imported")
        imported = validate((work / "imported/organ.json").read_text(), "organ.v1.schema.json")
        assert imported["imported"]["file"] == "donor_layers.pt", imported["imported"]
        run(organ, "install", work / "cut", "--into", model, code=5)
        assert not (model / ".organ").exists()
        run(organ, "install", work / "cut", "--into", model, "--at", 0, "--allow-unsigned")
        receipt = (model / ".organ" / "receipts" / "0001.json").read_text()
        receipt = validate(receipt, "receipt.v1.schema.json")
        assert receipt["trust"]["status"] == "unverified" and receipt["trust"]["reasons"], receipt
    print("two verdicts and one receipt follow their schemas")


if __name__ == "__main__":
    main()
