# SPDX-License-Identifier: Apache-2.0
# Names of files are shown escaped.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
expect 6 organ extract "$(printf 'a\033[31mb\001')" --layers 0:1 --out organ
make_model model
make_organ
red=$(printf 'a\033[31mred.json')
echo '{"a":1}' >"$red"
expect 4 organ ci organ --policy-file "$red"
expect 4 organ install tiny/organ --locked "$red" --into model --at 0
expect 4 organ log verify --proof "$red"
echo '{' >"$red"
expect 4 organ log verify --proof "$red"
