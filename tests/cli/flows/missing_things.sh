# SPDX-License-Identifier: Apache-2.0
# What is not there is exit 6, what is no folder or no name exit 2, and nothing is made on the way.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
expect 6 organ extract nothing-here --layers 0:1 --out organ
expect 6 organ show some/organ:1.0.0
test -z "$(ls)"
: >file
expect 2 organ extract file --layers 0:1 --out organ
expect 2 organ verify file
expect 6 organ verify organ --key no-key.pub
expect 6 organ verify organ --attestation 'seen-*.json'
expect 6 organ verify './x*'
expect 6 organ inspect './x?'
expect 6 organ inspect 'x*'
mkdir 'my[1]'
expect 6 organ verify 'my[1]' --key='my[1]/x*.pub'
expect 6 organ verify --key 'my[1]/x.pub' 'my[1]'
expect 6 organ verify './my[1]' # it is there, and nobody meant another one
rmdir 'my[1]'
expect 2 organ list med/notes/
expect 2 organ trust somebody.pub med/notes
expect 6 organ uninstall nothing-here
expect 2 organ uninstall file
test "$(ls)" = file
rm file
make_model model
make_organ
mkdir manifest
cp organ/organ.json manifest
expect 6 organ install manifest --into model --at 0 --allow-unsigned
