# SPDX-License-Identifier: Apache-2.0
"""organ.lock is what its schema says, as is what `organ lock` prints of it, well or not.

    documents.py ORGAN_PROGRAM MAKE_TINY_ORGAN SCHEMAS_FOLDER

Runs in the Python of $ORGAN_PEERS when its own lacks jsonschema; exits 77 without either.
"""
import hashlib
import json
import os
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
        self.organ, self.folder = organ, folder
        self.validators = {}
        for name in ("lock", "lock-report"):
            schema = json.loads((schemas / f"{name}.v1.schema.json").read_text())
            jsonschema.Draft7Validator.check_schema(schema)
            self.validators[name] = jsonschema.Draft7Validator(schema)
        self.environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config"),
                            "ORGAN_REGISTRY": str(folder / "registry")}
        self.passed = 0
        subprocess.run([make, folder / "organ"], check=True)
        self.run("registry", "init")

    def run(self, *words, code=0):
        done = subprocess.run([str(word) for word in (self.organ, *words)], env=self.environment,
                              cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == code, (words, done.returncode, done.stderr)
        return done.stdout

    def fits(self, name, document):
        """A document that its schema takes, and refuses with a field less or one more."""
        validator = self.validators[name]
        errors = [error.message for error in validator.iter_errors(document)]
        assert not errors, (name, errors)
        for key in document:
            assert not validator.is_valid({k: v for k, v in document.items() if k != key}), key
        assert not validator.is_valid(document | {"surprise": 1})
        self.passed += 1
        return document

    def report(self, *words, code=0):
        return self.fits("lock-report", json.loads(self.run("lock", *words, "--json", code=code)))


def main():
    organ, make, schemas = (Path(argument).resolve() for argument in sys.argv[1:4])
    with tempfile.TemporaryDirectory() as scratch:
        site = Site(organ, make, schemas, Path(scratch))
        site.run("publish", "organ", "legal/contracts:1.0.0")
        site.run("publish", "organ", "med/notes:1.0.0")
        assert site.report("legal/contracts@^1", "med/notes")["changed"] == ["legal/contracts", "med/notes"]
        lock = site.fits("lock", json.loads((site.folder / "organ.lock").read_text()))
        for one in lock["organs"]:
            for entry in (one["manifest"], *one["files"]):
                blob = (site.folder / "registry/blobs/sha256" / entry["digest"][7:]).read_bytes()
                assert hashlib.sha256(blob).hexdigest() == entry["digest"][7:]
                assert len(blob) == entry["size"]
        assert site.report("--check")["ok"]
        site.run("publish", "organ", "legal/contracts:1.1.0")
        stale = site.report("--check", code=3)
        assert not stale["ok"] and stale["findings"][0]["code"] == "incompatible"
        assert site.report("--update", "legal/contracts")["changed"] == ["legal/contracts"]
        site.fits("lock", json.loads((site.folder / "organ.lock").read_text()))
        site.run("revoke", "med/notes:1.0.0", "--reason", "memorises")
        assert site.report("--check", code=5)["findings"][0]["code"] == "untrusted"
    print(f"{site.passed} cases passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
