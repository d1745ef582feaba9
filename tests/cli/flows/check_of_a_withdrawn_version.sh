# SPDX-License-Identifier: Apache-2.0
# What install refuses, or warns of, check says too: in words, in the record and in the reports.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null
set -- organ check tiny/organ:1.0.0 --recipient model --at 2
"$@" >before
organ yank tiny/organ:1.0.0 --reason 'a draft' >/dev/null
"$@" 2>&1 | grep -q 'warning \[yanked\]: tiny/organ:1.0.0 was yanked: a draft'
organ revoke tiny/organ:1.0.0 --reason 'poisoned' >/dev/null
expect 5 "$@" >said 2>&1
grep -q 'refusal \[revoked\]: tiny/organ:1.0.0 was revoked: poisoned' said
grep -q 'level A: fits, and is refused' said
expect 5 "$@" --json >said 2>err
grep -q '"installable": false' said
expect 5 "$@" --format junit >said 2>err
grep -q 'failures="1"' said
expect 5 organ install tiny/organ:1.0.0 --into model --at 2 2>err
organ revoke tiny/organ:1.0.0 --undo >/dev/null
organ yank tiny/organ:1.0.0 --undo >/dev/null
"$@" | cmp - before
organ publish organ 2>err >/dev/null
grep -qx 'the same content was published before' err
organ key generate second >/dev/null 2>&1
organ registry trust second.pub >/dev/null 2>&1
organ publish organ --key second.key 2>err >/dev/null
grep -qx 'the same content was published before; added: 1 signature' err
