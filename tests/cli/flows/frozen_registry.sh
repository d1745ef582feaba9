# SPDX-License-Identifier: Apache-2.0
# A registry that shows an old state to all is noticed by its age, where a user demands one; who runs
# it renews what is still the newest state.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null
remember
organ log verify --max-age 1d | grep -q '^signed at   20..-..-..T..:..:..Z, allowed for 24 hours'
organ registry remember --max-age 1s | grep -q '^max age  1 second'
sleep 3
for command in "list" "show tiny/organ" "verify tiny/organ" "install tiny/organ --into model --at 2"; do
  expect 5 organ $command >/dev/null 2>err
  grep -q 'freeze: its newest state was signed .* seconds ago' err
  grep -q 'organ log renew' err
done
unchanged
expect 5 organ log verify >said
grep -q 'freeze: ' said
organ log renew >/dev/null 2>err
grep -q 'freeze: ' err
organ list >/dev/null
sleep 3
# A limit that was too small is in nobody's way, and nothing else takes it away.
expect 5 organ registry remember --replace >/dev/null 2>&1
organ registry remember --any-age >said
if grep -q 'max age' said; then exit 99; fi
organ list >/dev/null
organ verify tiny/organ >said
grep -q "the registry's newest state was signed at" said
expect 2 organ registry remember --max-age 1d --any-age 2>/dev/null
expect 2 organ log verify --max-age tomorrow 2>err
grep -q "expected a number and s, m, h, d or w" err
