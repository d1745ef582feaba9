# SPDX-License-Identifier: Apache-2.0
# A range finds the newest version in it that was not withdrawn; exact names find what was.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
for version in 1.0.0 1.2.0 1.10.0 2.0.0-rc.1 2.0.0-rc.2 2.0.0; do
  organ publish organ tiny/organ:$version --key publisher.key >/dev/null
done
is() { test "$(organ show "$1" --json | grep -o '"version": "[^"]*"')" = "\"version\": \"$2\""; }
is tiny/organ 2.0.0
is tiny/organ@^1 1.10.0
is 'tiny/organ@~1.2' 1.2.0
is 'tiny/organ@>=1.0 <1.10 || 1.0.x' 1.2.0
is 'tiny/organ@1.0 - 1.2' 1.2.0
is 'tiny/organ@*' 2.0.0
is tiny/organ@1.x 1.10.0
is 'tiny/organ@>=2.0.0-rc.1 <2.0.0' 2.0.0-rc.2
expect 6 organ show 'tiny/organ@>2.0.0-rc.2 <2.0.0' 2>err
grep -q 'no version in this range that was not withdrawn' err
expect 6 organ show tiny/organ@^3 2>err
expect 6 organ show other/organ@^3 2>err
grep -q 'no such organ' err
for reference in tiny/organ@^ 'tiny/organ@1.x ||' tiny/organ@1.2.0 tiny/organ@^1.2.3.4; do
  expect 2 organ show "$reference" 2>err
done
# Nobody's alias is called like a range.
expect 2 organ alias tiny/organ@1.x 1.2.0 2>err

organ yank tiny/organ:1.10.0 --reason 'a draft' >/dev/null
organ revoke tiny/organ:2.0.0 --reason 'memorises' >/dev/null
is tiny/organ@^1 1.2.0
is tiny/organ:1.10.0 1.10.0
expect 6 organ show 'tiny/organ@>=1.10' 2>err
is 'tiny/organ@>=2.0.0-rc.1' 2.0.0-rc.2
remember
organ install tiny/organ@^1 --into model --at 2 >said 2>err
grep -q '^tiny/organ:1.2.0 is now' said
organ uninstall model >/dev/null
unchanged
