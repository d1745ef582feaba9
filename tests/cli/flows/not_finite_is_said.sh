# SPDX-License-Identifier: Apache-2.0
# NaN and infinity: a warning with tensor and place, with --require-finite exit 4 and nothing done.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
cp -r model sound
python3 "$ORGAN_TOOLS/poke_tensor.py" model/model.safetensors model.layers.3.mlp.up_proj.weight 131 7fc0
organ key generate publisher >keys.txt 2>&1
expect 4 organ extract model --layers 2:5 --out refused --require-finite
test ! -e refused
expect 0 organ extract model --layers 2:5 --name tiny/organ --organ-version 1.0.0 --out organ >extract.txt
expect 4 organ sign organ --key publisher.key --require-finite
test ! -e organ/model.sig
expect 0 organ sign organ --key publisher.key >sign.txt
make_registry
expect 4 organ publish organ --require-finite
expect 6 organ show tiny/organ:1.0.0 2>/dev/null
expect 0 organ publish organ >publish.txt
expect 0 organ verify tiny/organ:1.0.0 >verify.txt
grep -c "warning .*layer.01.safetensors: tensor 'mlp.up_proj.weight': NaN or infinity at \[2, 3\]" verify.txt
expect 0 organ verify tiny/organ:1.0.0 -q >quiet.txt
grep -c "warning .*'mlp.up_proj.weight': NaN or infinity at \[2, 3\]" quiet.txt
# Whether it was read lately or not.
for _ in first second; do
  expect 0 organ verify --all --reread-after 1h >verify.txt
  grep -q "warning .*'mlp.up_proj.weight': NaN or infinity at \[2, 3\]" verify.txt
  expect 4 organ verify --all --reread-after 1h --require-finite >verify.txt
done
expect 2 organ verify tiny/organ:1.0.0 --reread-after 1h 2>/dev/null
expect 4 organ verify tiny/organ:1.0.0 --require-finite >verify.txt
grep -c "corrupt .*NaN or infinity" verify.txt
expect 0 organ verify organ --key publisher.pub --format sarif >sarif.txt
grep -c '"level": "warning"' sarif.txt
mv model poisoned
mv sound model
remember
expect 4 organ install tiny/organ:1.0.0 --into model --at 2 --require-finite
unchanged
expect 0 organ install tiny/organ:1.0.0 --into model --at 2 >install.txt
expect 0 organ uninstall model >uninstall.txt
unchanged
