# SPDX-License-Identifier: Apache-2.0
# Two organs compared, wherever they are: folder, version, manifest alone.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null
organ diff organ tiny/organ:1.0.0 >said
grep -qx 'tensors: 27 same, 0 changed, 0 only in a, 0 only in b; metadata: 0 changes' said
test "$(wc -l <said)" = 1
cp -r model other
weights=$(ls other/*.safetensors | head -n 1)
poke() { python3 "$ORGAN_TOOLS/poke_tensor.py" "$@"; }
poke "$weights" model.layers.3.mlp.up_proj.weight 5 4049
poke "$weights" model.layers.4.input_layernorm.weight 0 7fc0
organ extract other --layers 2:5 --name tiny/organ --organ-version 1.1.0 --description 'with poison' --out next \
  >/dev/null 2>&1
organ publish next --key publisher.key >/dev/null 2>&1
for pair in 'organ next' 'tiny/organ:1.0.0 tiny/organ@^1.1' 'tiny/organ:1.0.0 next'; do
  organ diff $pair >said
  grep -q '^/version: "1.0.0" -> "1.1.0"$' said
  grep -q '^/description: .* -> "with poison"$' said
  grep -q '^layer.01.safetensors/mlp.up_proj.weight  *[0-9]' said
  grep -q '^layer.02.safetensors/input_layernorm.weight  *0  *0  *1.562 %' said
  grep -qx '  NaN or infinite: 0 in a, 1 in b; no figure has them' said
  grep -q '^tensors: 25 same, 2 changed, 0 only in a, 0 only in b; metadata: [0-9]* changes$' said
done
organ diff organ next --json >record
python3 - <<'PYTHON'
import json
record = json.load(open("record"))
assert not record["equal"] and record["counts"]["changed"] == 2
assert {"/version", "/description"} <= {change["pointer"] for change in record["metadata"]}
PYTHON
# Without the files it is said what changed, and not by how much.
cp next/organ.json next.json
organ diff organ next.json | grep -q 'mlp.up_proj.weight .*changed: its bytes are not at hand'
organ diff next.json tiny/organ:1.1.0 | grep -q '^tensors: 27 same'
# Other layers, and another shape.
organ extract model --layers 2:4 --name tiny/organ --organ-version 2.0.0 --out short >/dev/null 2>&1
organ diff organ short | grep -q '^tensors: 18 same, 0 changed, 9 only in a, 0 only in b'
python3 "$ORGAN_TOOLS/make_tiny_model.py" wide --intermediate 64 >/dev/null
organ extract wide --layers 2:5 --name tiny/organ --organ-version 3.0.0 --out wide-organ >/dev/null 2>&1
organ diff organ wide-organ >said
grep -q 'mlp.up_proj.weight .*changed: its shape is another one' said
grep -qx '  BF16 \[128, 64\] in a, BF16 \[64, 64\] in b' said
# Damage is told, not measured.
poke next/layer.01.safetensors mlp.up_proj.weight 9 1234
expect 4 organ diff organ next 2>err
grep -q "mlp.up_proj.weight': has digest" err
expect 6 organ diff organ nothing-here 2>err
expect 2 organ diff organ 2>err
expect 2 organ diff organ 'tiny/organ@^' 2>err
# What training recorded of each tensor is summed up, and whole with -v and --json.
trained=$ORGAN_SOURCE/tests/data/made_before/organ/organ.json
sed 's|"unchanged_fraction":"0x0p+0"|"unchanged_fraction":"0x1p-2"|g' "$trained" >retrained.json
organ diff "$trained" retrained.json >said
grep -qx '/training/changes: [0-9]* of its values (-v shows them)' said
test "$(grep -c '^/training/changes/' said || true)" = 0
organ diff "$trained" retrained.json -v | grep -q '^/training/changes/'
