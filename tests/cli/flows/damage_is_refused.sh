# SPDX-License-Identifier: Apache-2.0
# One flipped bit: exit 4 with file, tensor and offset; the recipient stays as it was. A sub-folder
# is one more finding; who would use the organ refuses it.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
flip organ/layer.01.safetensors 20000
remember
expect 4 organ verify organ --key publisher.pub
expect 4 organ install organ --into model --at 2 --key publisher.pub
unchanged
mkdir organ/notes
expect 4 organ verify organ --key publisher.pub
expect 4 organ check organ --recipient model
