# SPDX-License-Identifier: Apache-2.0
# In place, weights in another format and the model's own signature stay as they were: that is said.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
echo old >model/pytorch_model.bin
echo old >model/model.sig
organ install organ --into model --at 1 --key publisher.pub >/dev/null
