# SPDX-License-Identifier: Apache-2.0
"""What a registry writes fits its schemas, and the schemas refuse what it never writes.

    documents.py ORGAN_PROGRAM MAKE_TINY_ORGAN SCHEMAS_FOLDER

Runs in the Python of $ORGAN_PEERS when its own lacks jsonschema; exits 77 without either.
"""
import copy
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import peers  # noqa: E402

peers.enter("jsonschema")
import jsonschema  # noqa: E402  (in the peers environment only)


def accepted(schema, document):
    return jsonschema.Draft7Validator(schema).is_valid(document)


def broken(document):
    """One copy per field: missing, of another type; and one with an unknown field."""
    for key in document:
        for value in (None, [0]):
            other = copy.deepcopy(document)
            if value is None:
                del other[key]
            else:
                other[key] = value
            if other != document:
                yield other
    yield document | {"surprise": 1}


def main():
    organ, make, schemas = (Path(a).resolve() for a in sys.argv[1:4])
    entry_schema = json.loads((schemas / "log-entry.v1.schema.json").read_text())
    known_schema = json.loads((schemas / "known-registry.v1.schema.json").read_text())
    read_schema = json.loads((schemas / "read-memory.v1.schema.json").read_text())
    policy_schema = json.loads((schemas / "policy.v1.schema.json").read_text())
    proof_schema = json.loads((schemas / "log-proof.v1.schema.json").read_text())
    root_schema = json.loads((schemas / "log-root.v1.schema.json").read_text())
    verify_schema = json.loads((schemas / "log-verify.v1.schema.json").read_text())
    passed = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        registry = folder / "registry"
        home = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config"),
                "XDG_STATE_HOME": str(folder / "state")}
        for command in ([make, folder / "organ"], [organ, "key", "generate", folder / "key"],
                        [organ, "registry", "init", "--registry", registry, "--key",
                         folder / "key.pub", "--pattern", "legal/*"],
                        [organ, "publish", folder / "organ", "legal/contracts:1.0.0", "--registry",
                         registry, "--key", folder / "key.key"],
                        [organ, "alias", "legal/contracts@stable", "1.0.0", "--registry", registry],
                        [organ, "yank", "legal/contracts:1.0.0", "--reason", "a draft", "--registry",
                         registry],
                        [organ, "publish", folder / "organ", "legal/contracts:1.1.0", "--registry",
                         registry, "--key", folder / "key.key"],
                        [organ, "supersede", "legal/contracts:1.0.0", "--by", "1.1.0", "--reason",
                         "new laws", "--registry", registry],
                        [organ, "takedown", "legal/contracts:1.1.0", "--reason", "a court", "--registry",
                         registry],
                        [organ, "registry", "trust", folder / "key.pub", "--pattern", "legal/*",
                         "--mode", "warn", "--registry", registry],
                        [organ, "registry", "trust", folder / "key.pub", "--pattern", "legal/*",
                         "--expires", "2199-12-31", "--registry", registry],
                        [organ, "registry", "retire", folder / "key.pub", "--registry", registry],
                        [organ, "log", "root", "--rotate", "--max-age", "90d", "--registry", registry]):
            subprocess.run([str(c) for c in command], check=True, capture_output=True, env=home)
        def printed(*words):
            command = [str(organ), *words, "--registry", str(registry)]
            return json.loads(subprocess.run(command, check=True, capture_output=True, env=home).stdout)
        lines = (registry / "organ/log").read_text().splitlines()
        documents = [(entry_schema, json.loads(line[65:])) for line in lines]
        documents.append((policy_schema, json.loads((registry / "organ/policy.json").read_text())))
        assert [d["kind"] for s, d in documents if s is entry_schema] == ["key", "key", "publish", "alias", "yank",
                                                          "publish", "supersede", "takedown", "policy", "key_end", "key_end",
                                                          "root"]
        shown = subprocess.run([organ, "show", "legal/contracts:1.0.0", "--history", "--json", "--registry",
                                registry], check=True, capture_output=True, env=home).stdout
        history_schema = json.loads((schemas / "version-history.v1.schema.json").read_text())
        documents.append((history_schema, json.loads(shown)))
        known = list((folder / "config/organ/trust").glob("*.json"))
        documents += [(known_schema, json.loads(path.read_text())) for path in known]
        assert len(known) == 1
        subprocess.run([str(organ), "verify", "--all", "--registry", str(registry)], capture_output=True,
                       env=home, check=False)
        (read,) = (folder / "state/organ/read").glob("*.json")
        documents.append((read_schema, json.loads(read.read_text())))
        documents.append((proof_schema, printed("log", "prove", "2")))
        documents.append((verify_schema, printed("log", "verify", "--json")))
        assert documents[-1][1]["remembered"]["entries"] == 12
        documents.append((root_schema, printed("log", "root", "--json")["root"]))
        documents.append((root_schema, json.loads(documents[11][1]["note"].split("\n")[1])))
        for schema, document in documents:
            assert accepted(schema, document), document
            for other in broken(document):
                assert not accepted(schema, other), other
                passed += 1
            passed += 1
    print(f"{passed} cases passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
