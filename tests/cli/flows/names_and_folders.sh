# SPDX-License-Identifier: Apache-2.0
# What a text names: a folder that is no organ hides no published one, where both are there it is said
# which is taken; a name that nobody chose is not published for good; a new folder is no part of its model.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null 2>&1
mkdir -p tiny/organ
organ check tiny/organ --recipient model --at 2 2>&1 | grep -q 'tiny/organ:1.0.0 in model at layer 2'
expect 6 organ check tiny --recipient model --at 2 2>said
grep -q "no organ.json" said
expect 6 organ check ./tiny/organ --recipient model --at 2 2>/dev/null
cp -r organ/. tiny/organ
organ check tiny/organ --recipient model --at 2 2>&1 | grep -q "'tiny/organ': the folder is taken; tiny/organ:1.0.0"
organ check ./tiny/organ --recipient model --at 2 >said 2>&1
if grep -q 'is taken' said; then exit 98; fi
organ extract model --layers 0:1 --out nameless >/dev/null 2>&1
expect 2 organ publish nameless 2>said
grep -q 'was given no name' said
organ publish nameless tiny/chosen:0.1.0 --key publisher.key >/dev/null 2>&1
test "$(organ list | grep -c .)" = 2
expect 6 organ log nothing 2>/dev/null
# A name that somebody wrote wrong: the one that was meant, by whoever resolves it.
for words in 'show tiny/ogran' 'show tiny/ogran:1.0.0 --history' 'list tiny/ogran' 'log tiny/ogran' \
  'verify tiny/ogran' 'install tiny/ogran@^1 --into model' 'lock tiny/ogran'; do
  # shellcheck disable=SC2086  # the words of a command
  expect 6 organ $words >/dev/null 2>said
  grep -qx "hint: did you mean 'tiny/organ'?" said
done
expect 6 organ show other/thing 2>said
grep -qx 'hint: organ list shows what is there' said
remember
expect 2 organ extract model --layers 0:1 --out model/cut 2>said
grep -q "'model/cut': lies inside 'model'" said
expect 2 organ install organ --into model --at 1 --out ./model/../model/copy 2>/dev/null
ln -s model link
expect 2 organ extract model --layers 0:1 --out link/cut 2>/dev/null
unchanged
for prefix in . .. tiny/.. tiny/.; do
  expect 2 organ key generate "$prefix" 2>/dev/null
done
test -z "$(find . -maxdepth 1 '(' -name '.*key' -o -name '.*pub' ')')"
for folder in registry tiny; do organ inspect "$folder" 2>&1 | grep '^hint' >>hints || true; done
grep -q 'it is a registry' hints
echo 'some words' >note.txt
expect 2 organ inspect note.txt 2>said
grep -q 'is no file that organ knows' said
