# SPDX-License-Identifier: Apache-2.0
# An organ leaves as donor_layers.pt and comes back tensor for tensor, and leaves as a folder with its
# signature; what cannot be imported says why.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null 2>&1

organ export tiny/organ:1.0.0 --out hub
cmp organ/organ.json hub/organ.json
cmp organ/model.sig hub/model.sig
organ verify hub --key publisher.pub >/dev/null
expect 1 organ export organ --out hub

organ export tiny/organ:1.0.0 --format paper --out pair
test "$(ls pair)" = "$(printf 'donor_layers.pt\ndonor_metadata.json')"
organ import pair --into model --out back
organ import pair/donor_layers.pt --into model --layers 1:4 --out moved --name tiny/moved --json | grep -q '"first_layer": 1,'
for layer in layer.00.safetensors layer.01.safetensors layer.02.safetensors; do
  cmp "organ/$layer" "back/$layer"
  cmp "organ/$layer" "moved/$layer"
done
organ check back --recipient model --at 2 >/dev/null
grep -q '"name":"tiny/organ"' back/organ.json
grep -q '"imported":{"digest":"sha256:' back/organ.json

expect 2 organ import pair --out nothing
expect 3 organ import pair --into model --layers 1:3 --out nothing
rm pair/donor_metadata.json
expect 2 organ import pair --into model --out nothing
make_model other --hidden 32
expect 3 organ import pair --into other --layers 1:4 --out nothing
expect 3 organ import model --into model --out nothing
expect 6 organ import absent --into model --out nothing
printf 'cos\nsystem\n' >evil.pt
expect 4 organ import evil.pt --into model --layers 0:1 --out nothing
printf '\200\002cos\nsystem\nX\003\000\000\000lsl\205R.' >evil.pt
expect 4 organ import evil.pt --into model --layers 0:1 --out nothing
flip pair/donor_layers.pt 5000
expect 4 organ import pair --into model --layers 2:5 --out nothing
test ! -e nothing
