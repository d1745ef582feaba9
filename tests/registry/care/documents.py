# SPDX-License-Identifier: Apache-2.0
"""What fsck, repair and gc print with --json is what their schemas say, with and without damage.

    documents.py ORGAN_PROGRAM MAKE_TINY_ORGAN SCHEMAS_FOLDER

Runs in the Python of $ORGAN_PEERS when its own lacks jsonschema; exits 77 without either.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
import peers  # noqa: E402

peers.enter("jsonschema")
import jsonschema  # noqa: E402  (in the peers environment only)


class Site:
    def __init__(self, organ, make, schemas, folder):
        self.organ, self.schemas, self.folder = organ, schemas, folder
        self.registry = folder / "registry"
        self.environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")}
        subprocess.run([make, folder / "organ"], check=True)
        self.run("registry", "init", "--registry", self.registry)
        self.run("publish", folder / "organ", "legal/contracts:1.0.0", "--registry", self.registry)
        shutil.copytree(self.registry, folder / "mirror")

    def run(self, *words, code=0):
        done = subprocess.run([str(word) for word in (self.organ, *words)], env=self.environment,
                              capture_output=True, text=True, check=False)
        assert done.returncode == code, (words, done.returncode, done.stderr)
        return done.stdout

    def document(self, name, *words, code=0):
        """The record, after a look at its schema; a field that is missing or more is refused."""
        schema = json.loads((self.schemas / f"{name}.v1.schema.json").read_text())
        jsonschema.Draft7Validator.check_schema(schema)
        validator = jsonschema.Draft7Validator(schema)
        place = ("--registry", self.registry) if name == "takedown" else (self.registry,)
        document = json.loads(self.run(name, *place, *words, "--json", code=code))
        errors = [error.message for error in validator.iter_errors(document)]
        assert not errors, (name, errors)
        for key in document:
            assert not validator.is_valid({k: v for k, v in document.items() if k != key}), key
        assert not validator.is_valid(document | {"surprise": 1})
        return document


def main():
    organ, make, schemas = (Path(argument).resolve() for argument in sys.argv[1:4])
    with tempfile.TemporaryDirectory() as scratch:
        site = Site(organ, make, schemas, Path(scratch))
        assert site.document("fsck")["ok"]
        blobs = sorted((site.registry / "blobs/sha256").iterdir())
        for blob in blobs:
            blob.chmod(0o644)
            blob.write_bytes(blob.read_bytes()[:-1])
        (site.registry / "index.json").write_text("{}")
        broken = site.document("fsck", code=4)
        assert not broken["ok"] and broken["objects"] and broken["views"]
        assert broken["affected"] == ["legal/contracts:1.0.0"]
        dry = site.document("repair", "--from", site.folder / "mirror", "--dry-run")
        assert dry["mended"] and dry["dry_run"]
        missing = site.folder / "mirror/blobs/sha256" / blobs[0].name
        missing.rename(site.folder / "away")
        half = site.document("repair", "--from", site.folder / "mirror", code=4)
        assert half["mended"] and half["left"] and half["affected_after"]
        (site.folder / "away").rename(missing)
        whole = site.document("repair", "--from", site.folder / "mirror")
        assert not whole["left"] and not whole["affected_after"]
        (site.registry / "blobs/sha256" / ("0" * 64)).write_text("nobody's")
        plan = site.document("gc", "--days", "0")
        assert len(plan["items"]) == 1 and not plan["applied"]
        assert site.document("gc", "--apply", plan["token"])["applied"]
        assert site.document("gc", "--purge", "--days", "0")["items"]
        site.run("publish", site.folder / "organ", "legal/other:1.0.0", "--registry", site.registry)
        assert site.document("takedown", "legal/other:1.0.0", "--dry-run")["kept"]
        assert site.document("takedown", "legal/other:1.0.0", "--reason", "a court")["takedown"]
        assert site.document("takedown", "legal/contracts:1.0.0", "--reason", "a court")["removed"]
        site.run("registry", "index", "--registry", site.registry)  # repair leaves views alone
        assert site.document("fsck")["removed"] == 2
    print("12 cases passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
