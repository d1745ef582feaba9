# SPDX-License-Identifier: Apache-2.0
# A signature by a key that is not trusted counts as none.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
organ key generate stranger >/dev/null 2>&1
remember
expect 5 organ install organ --into model --at 2 --key stranger.pub
unchanged
