# SPDX-License-Identifier: Apache-2.0
# Positions are checked against the layer count, with both numbers shown.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
remember
expect 3 organ install organ --into model --at 4 --key publisher.pub
unchanged
expect 2 organ extract model --layers 4:9 --out nothing
test ! -e nothing
