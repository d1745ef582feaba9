# SPDX-License-Identifier: Apache-2.0
# What verify has to note of the organs of a lock file it notes once, however many share it.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null 2>&1
organ publish organ tiny/other:1.0.0 --key publisher.key >/dev/null 2>&1
organ lock tiny/organ tiny/other >/dev/null
organ verify --locked organ.lock >said
test "$(grep -c '^ok ' said)" = 2
if grep '^note ' said >&2; then exit 98; fi

# A layer of both is damaged, and what was read before cannot be forgotten: a file lies there.
object=registry/blobs/sha256/$(sha256sum organ/layer.01.safetensors | cut -d ' ' -f 1)
chmod u+w "$object"
flip "$object" 20000
mkdir -p "$HOME/.local/state/organ"
rm -rf "$HOME/.local/state/organ/read"
: >"$HOME/.local/state/organ/read"
expect 4 organ verify --locked organ.lock >said
test "$(grep -c '^FAILED tiny/' said)" = 2
test "$(grep -c '^note   what was read before could not be forgotten: ' said)" = 1
expect 4 organ verify --locked organ.lock --json >said
python3 -c 'import json; notes = json.load(open("said"))["notes"]; assert len(notes) == 1, notes'
