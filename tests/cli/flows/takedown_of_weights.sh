# SPDX-License-Identifier: Apache-2.0
# Weights are taken away for good; everything else says when and why, and the history is whole.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null
organ extract model --layers 2:3 --name tiny/other --organ-version 1.0.0 --out other >/dev/null 2>&1
organ publish other --key publisher.key >/dev/null 2>&1
organ lock tiny/organ >/dev/null
remember
blobs() { ls registry/blobs/sha256; }
blobs >before

# Layer 2 of the model is in both; it is told what goes and what stays.
organ takedown tiny/organ:1.0.0 --dry-run >said 2>err
test "$(grep -c '^would go ' said)" = 2
test "$(grep -c '^stays ' said)" = 1
grep -qx '  of tiny/other:1.0.0' said
blobs | cmp - before
expect 2 organ takedown tiny/organ:1.0.0 2>err
grep -q 'needs a reason' err
organ takedown tiny/organ:1.0.0 --reason 'a court said so' >said 2>err
grep -q '^tiny/organ:1.0.0  was taken down on 20..-..-..T..:..:..Z because a court said so; ' said
test "$(blobs | wc -l)" = "$(($(wc -l <before) - 2))"

# Readers say so; the exit code is that of what was revoked.
said_so() { grep -q 'was taken down on 20.* because a court said so' "$1"; }
organ show tiny/organ:1.0.0 >said
said_so said
organ show tiny/organ:1.0.0 --history 2>/dev/null | grep -q 'takedown  *tiny/organ:1.0.0  a court said so'
organ list | grep -q 'tiny/organ:1.0.0 .*, taken down'
organ search organ 2>/dev/null | grep -q 'tiny/organ:1.0.0' && exit 1
for words in 'verify tiny/organ:1.0.0' 'install tiny/organ:1.0.0 --into model --at 2' \
  'install tiny/organ:1.0.0 --into model --at 2 --allow-unsigned' 'export tiny/organ:1.0.0 --out exported' \
  'publish organ' 'lock tiny/organ:1.0.0 --out new.lock' 'lock --check' \
  'install tiny/organ --locked organ.lock --into model --at 2' 'push tiny/organ:1.0.0 oci://127.0.0.1:1/a'; do
  expect 5 organ $words >said 2>&1
  said_so said
done
test ! -e exported
test ! -e new.lock
unchanged
organ verify organ >/dev/null  # a folder of one's own is not the registry's
python3 "$ORGAN_TOOLS/poke_tensor.py" model/model.safetensors model.layers.3.mlp.up_proj.weight 5 4049
organ extract model --layers 2:5 --name tiny/organ --organ-version 1.1.0 --out next >/dev/null 2>&1
python3 "$ORGAN_TOOLS/poke_tensor.py" model/model.safetensors model.layers.3.mlp.up_proj.weight 5 4048
remember
organ diff tiny/organ:1.0.0 next | grep -q 'its bytes are not at hand: .* a court said so'

# All else is as it was, and stays so.
organ fsck >said 2>err
said_so err
organ fsck --json 2>/dev/null | grep -q '"removed": 1'
organ registry stats | grep -q '^removed  *1 version'
organ repair --from organ >/dev/null 2>err
organ gc --days 0 2>err | grep . && exit 1
organ registry rebuild >/dev/null
organ show tiny/organ:1.0.0 >said
said_so said
organ verify tiny/other:1.0.0 >/dev/null
organ install tiny/other:1.0.0 --into model --at 2 >/dev/null 2>err
organ uninstall model >/dev/null
unchanged
# When the other one goes, so does what they shared.
organ takedown tiny/other:1.0.0 --reason 'the same order' --json >record
python3 - <<'PYTHON'
import json
record = json.load(open("record"))
assert len(record["removed"]) == 1 and not record["kept"], record
PYTHON
organ fsck >/dev/null 2>err
