# SPDX-License-Identifier: Apache-2.0
# Whoever may write a registry's folder, without the key of its log, changes no answer unnoticed.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null
organ publish organ tiny/organ:1.1.0 --key publisher.key >/dev/null
organ revoke tiny/organ:1.1.0 --reason 'memorises' >/dev/null
organ alias tiny/organ@stable 1.0.0 >/dev/null
cp -r registry good
again() { rm -rf registry; cp -r good registry; }
remember

# A line of one's own behind the log (a yank of the last good version, a revocation taken back).
forge() {
  python3 - "$1" "$2" "$3" <<'PYTHON'
import hashlib, json, sys
kind, version, withdrawn = sys.argv[1:]
entry = {"kind": kind, "name": "tiny/organ", "version": version, "reason": "forged",
         "schema_version": 1, "time": "2026-01-02T03:04:05Z", "withdrawn": withdrawn == "yes"}
text = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
with open("registry/organ/log", "ab") as log:
    log.write(hashlib.sha256(b"\0" + text).hexdigest().encode() + b" " + text + b"\n")
PYTHON
}
forge yank 1.0.0 no
sha256sum registry/organ/log registry/organ/checkpoint >state
organ show tiny/organ | grep -q 'tiny/organ:1.0.0'
organ list >/dev/null
organ log >/dev/null
expect 5 organ verify --all >/dev/null
sha256sum --quiet --check state
again
forge revoke 1.1.0 yes
expect 5 organ install tiny/organ:1.1.0 --into model --at 2 >/dev/null 2>err
grep -q 'revoked: memorises' err

# Rows of the catalog.
again
rows() { python3 -c "import sqlite3, sys
with sqlite3.connect('registry/organ/catalog.db') as d: d.execute(sys.argv[1])" "$1"; }
rows "UPDATE versions SET revoke_reason = NULL"
expect 5 organ install tiny/organ:1.1.0 --into model --at 2 >/dev/null 2>&1
rows "UPDATE aliases SET version_id = (SELECT max(id) FROM versions)"
organ show tiny/organ@stable | grep -q 'tiny/organ:1.0.0'
rows "UPDATE versions SET published = '1999-01-01T00:00:00Z'"
expect 4 organ verify tiny/organ:1.0.0 >/dev/null 2>err
grep -q 'is not what entry' err
unchanged

# A key and a rule of one's own.
again
id=$(organ key generate mallory --json 2>/dev/null | grep -o '[0-9a-f]\{64\}')
organ extract model --layers 2:5 --name tiny/evil --organ-version 1.0.0 --out evil >/dev/null
organ sign evil --key mallory.key >/dev/null
cp mallory.pub "registry/organ/trust/$id.pem"
cat >registry/organ/policy.json <<JSON
{"schema_version": 1, "rules": [{"pattern": "*", "mode": "enforce", "threshold": 1, "keys": ["sha256:$id"]}]}
JSON
expect 5 organ install evil --into model --at 2 >/dev/null 2>err
grep -q "not those of the log's signed entries" err
organ registry policy --restore >/dev/null
expect 5 organ install evil --into model --at 2 >/dev/null 2>err
unchanged

# Another registry in its place, and yesterday's.
again
organ registry init --registry other --key mallory.pub >/dev/null
organ publish evil --registry other >/dev/null
rm -rf registry
cp -r other registry
expect 5 organ install tiny/evil --into model --at 2 >/dev/null 2>err
grep -q 'another registry is in its place' err
again
organ yank tiny/organ:1.0.0 --reason 'a draft' >/dev/null
again
expect 5 organ list >/dev/null 2>err
grep -q 'rollback' err
organ registry remember --replace >/dev/null 2>&1
organ list >/dev/null
unchanged
