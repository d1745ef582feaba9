# SPDX-License-Identifier: Apache-2.0
# A command that is refused has changed nothing before; one that changes nothing says so.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ key generate second >/dev/null 2>&1
organ publish organ >/dev/null
organ log >before
expect 2 organ registry trust second.pub --pattern 'zz/*' --threshold 2 2>err
expect 2 organ registry trust second.pub --threshold 3 --mode warn 2>err
grep -q 'threshold 3, expected 1 to 2 (the number of keys)' err
expect 2 organ log root --rotate --expires 2001-01-01 2>err
grep -q 'is past' err
for verb in yank revoke; do
  organ $verb tiny/organ:1.0.0 --undo | grep -qx "tiny/organ:1.0.0  nothing changed: it is not ${verb}e\?d"
done
organ log | cmp - before
organ yank tiny/organ:1.0.0 --reason draft | grep -qx 'tiny/organ:1.0.0  yanked'
organ yank tiny/organ:1.0.0 --reason draft | grep -qx 'tiny/organ:1.0.0  nothing changed: it is already yanked'
organ registry remember | grep -v '^entries' >before
organ key generate other --for root --name other.example >/dev/null 2>&1
expect 5 organ registry remember --max-age 30d --key other.vkey 2>err
expect 2 organ registry remember --max-age 30d --key bogus 2>err
organ registry remember | grep -v '^entries' | cmp - before
