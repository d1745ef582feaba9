# SPDX-License-Identifier: Apache-2.0
# What happened to a version, when, why and by whom.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null
organ publish organ tiny/organ:1.1.0 --key publisher.key >/dev/null
organ key generate other >/dev/null 2>&1
organ publish organ tiny/organ:1.0.0 --key other.key >/dev/null 2>&1
organ alias tiny/organ@stable 1.0.0 >/dev/null
organ alias tiny/organ@stable 1.1.0 >/dev/null
organ yank tiny/organ:1.0.0 --reason 'a draft' >/dev/null
organ supersede tiny/organ:1.0.0 --by 1.1.0 --reason 'two laws are new' >/dev/null
organ yank tiny/organ:1.0.0 --undo >/dev/null
organ show tiny/organ:1.0.0 --history >said 2>err
grep -o '^ *[0-9][0-9]* .*Z  [a-z]*' said | sed 's/.*Z  //' | tr '\n' ' ' >kinds
test "$(cat kinds)" = 'publish signature alias alias yank supersede yank '
id() { sed -n 's/^key id *//p' | sed 's/^/sha256:/'; }
grep -qx "        signed by $(organ inspect publisher.pub | id)" said
grep -qx "        signed by $(organ inspect other.pub | id), not verified" said
grep -q 'yank  *tiny/organ:1.0.0  a draft' said
grep -q 'tiny/organ:1.0.0 by tiny/organ:1.1.0  two laws are new' said
grep -q "^all of it is signed by the log's key organ-registry/" err
organ show tiny/organ:1.0.0 --history --json >record 2>/dev/null
python3 - <<'PYTHON'
import json
record = json.load(open("record"))
assert record["command"] == "show" and record["log_key"].startswith("organ-registry/")
kinds = [event["entry"]["kind"] for event in record["history"]]
assert kinds == ["publish", "signature", "alias", "alias", "yank", "supersede", "yank"], kinds
assert [s["verified"] for e in record["history"] for s in e["signers"]] == [True, False]
assert all(isinstance(event["entry"]["index"], int) for event in record["history"])
PYTHON
test "$(organ show tiny/organ@stable --history 2>/dev/null | grep -c 'Z  ')" = 3
# What was done is said in words.
organ yank tiny/organ:1.0.0 --reason 'a draft' | grep -qx 'tiny/organ:1.0.0  yanked'
organ yank tiny/organ:1.0.0 --undo | grep -qx 'tiny/organ:1.0.0  yank taken back'
organ revoke tiny/organ:1.0.0 --reason 'leaks' | grep -qx 'tiny/organ:1.0.0  revoked'
organ revoke tiny/organ:1.0.0 --undo | grep -qx 'tiny/organ:1.0.0  revoke taken back'
