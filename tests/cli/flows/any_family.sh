# SPDX-License-Identifier: Apache-2.0
# A family that organ has never heard of goes the whole way; nothing else fits, no maths is guessed.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
made_up() { make_model "$@" && sed -i 's/"model_type": "llama"/"model_type": "made_up"/' "$1/config.json"; }
made_up model --seed 1
make_signed_organ
organ inspect model >inspected
grep -q "maths  *not known" inspected
organ inspect --json organ | python3 -c '
import json, sys
layer = json.load(sys.stdin)["manifest"]["architecture"]["layer"]
assert layer["maths"] == "unknown" and layer["stack"] == "model.layers" and layer["first_layer"] == 2'
make_registry
organ publish organ >/dev/null 2>&1
organ verify tiny/organ:1.0.0 >/dev/null 2>&1
organ show tiny/organ:1.0.0 | grep -q made_up
rm -r model
made_up model --seed 2 --shards 2
remember
organ check tiny/organ:1.0.0 --recipient model >/dev/null 2>&1
expect 3 organ check tiny/organ:1.0.0 --recipient model --at 1 >/dev/null 2>&1
expect 3 organ install tiny/organ:1.0.0 --into model --at 1 >/dev/null 2>&1
unchanged
organ install tiny/organ:1.0.0 --into model >/dev/null 2>&1
if sha256sum --status --check before.sha256; then echo "install changed nothing" >&2; exit 99; fi
organ uninstall model >/dev/null 2>&1
unchanged
sed -i 's/"rms_norm_eps": 1e-05/"rms_norm_eps": 1e-06/' model/config.json
remember
expect 3 organ install tiny/organ:1.0.0 --into model
unchanged
