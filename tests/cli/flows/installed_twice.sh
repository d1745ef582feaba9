# SPDX-License-Identifier: Apache-2.0
# The same install command twice is one installation; inspect says what is in a model, uninstall what is left.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_organ
remember
install() { organ install "$@" --into model --allow-unsigned 2>/dev/null; }
test -z "$(organ inspect model | grep -E '^(installed|pending)')"
install organ --at 1 | grep -q 'tiny/organ:1.0.0 is now layers 1 to 3 of model (receipt 1)'
sha256sum model/* >installed.sha256
install organ --at 1 | grep -q 'tiny/organ:1.0.0 is already layers 1 to 3 of model (receipt 1)'
test "$(install organ --at 1 --json | grep -c '"already_installed": true')" = 1
sha256sum --quiet --check installed.sha256
test "$(ls model/.organ/receipts | wc -l)" = 1
organ inspect model | grep -Eq '^installed +tiny/organ:1.0.0 in layers 1 to 3, unverified, .* \(receipt 1\)$'
organ inspect model --json | grep -q '"pending": "nothing"'
# Elsewhere, and again over what another one wrote, it is one more.
install organ --at 0 | grep -q 'now layers 0 to 2 .*receipt 2'
install organ --at 1 | grep -q 'now layers 1 to 3 .*receipt 3'
test "$(organ inspect model | grep -c ^installed)" = 3
organ uninstall model >said
grep -q 'tiny/organ:1.0.0 (receipt 3) is out of model' said
test "$(sed -n 's/^still installed: //p' said)" = 'tiny/organ:1.0.0 in layers 1 to 3 (receipt 1)
tiny/organ:1.0.0 in layers 0 to 2 (receipt 2)'
organ uninstall model --json | grep -q '"tiny/organ:1.0.0 in layers 1 to 3 (receipt 1)"'
sha256sum --quiet --check installed.sha256
# A damaged shard is not "already installed".
flip model/model.safetensors 200000
install organ --at 1 | grep -q 'is now layers 1 to 3 .*receipt 2'
organ uninstall model >/dev/null
flip model/model.safetensors 200000
organ uninstall model >/dev/null
unchanged
