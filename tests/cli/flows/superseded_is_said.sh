# SPDX-License-Identifier: Apache-2.0
# What takes the place of a version is said wherever somebody is about to use it; nothing is refused.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null
organ publish organ tiny/organ:1.1.0 --key publisher.key >/dev/null
organ supersede tiny/organ:1.0.0 --by 1.1.0 --reason 'two laws are new' >said
grep -qx 'tiny/organ:1.0.0  superseded by tiny/organ:1.1.0' said
organ show tiny/organ:1.0.0 | grep -q '^superseded    by tiny/organ:1.1.0: two laws are new$'
organ show tiny/organ:1.0.0 --json | grep -q '"by": "tiny/organ:1.1.0"'
organ show tiny/organ:1.1.0 --json | grep -q '"superseded": null'
organ list | grep -q 'tiny/organ:1.0.0 .*, superseded by tiny/organ:1.1.0'
organ search organ 2>/dev/null | grep -q 'tiny/organ:1.0.0 .*, superseded by tiny/organ:1.1.0'
organ log | grep -q 'supersede  *tiny/organ:1.0.0 by tiny/organ:1.1.0  two laws are new'
organ check tiny/organ:1.0.0 --recipient model --at 2 >/dev/null 2>err
grep -qx 'tiny/organ:1.0.0 is superseded by tiny/organ:1.1.0: two laws are new' err
organ check tiny/organ:1.0.0 --recipient model --at 2 --json 2>/dev/null | grep -q '"reason": "two laws'
remember
organ install tiny/organ:1.0.0 --into model --at 2 >/dev/null 2>err
grep -q 'tiny/organ:1.0.0 is superseded by tiny/organ:1.1.0' err
organ uninstall model >/dev/null
unchanged
organ install tiny/organ --into model --at 2 >/dev/null 2>err
grep -q superseded err && exit 1
expect 2 organ supersede tiny/organ:1.1.0 --by 1.0.0 --reason 'back' 2>err
grep -q 'would be superseded by itself' err
for words in '--reason x' '--by 1.1.0' '--by 1.1.0 --undo' '--by 1.1.0 --reason x --undo' '--by x --reason x'; do
  expect 2 organ supersede tiny/organ:1.0.0 $words 2>err
done
expect 6 organ supersede tiny/organ:1.0.0 --by 3.0.0 --reason x 2>err
organ supersede tiny/organ:1.0.0 --undo >said
grep -qx 'tiny/organ:1.0.0  notice taken back' said
organ list | grep -q superseded && exit 1
organ supersede tiny/organ:1.0.0 --undo | grep -qx 'tiny/organ:1.0.0  nothing changed'
organ verify --all >/dev/null
