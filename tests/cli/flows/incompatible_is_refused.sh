# SPDX-License-Identifier: Apache-2.0
# Another hidden size: refused with reasons before anything is written.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
rm -r model
make_model model --hidden 32 --intermediate 64
remember
expect 3 organ check organ --recipient model --at 2
expect 3 organ install organ --into model --at 2 --key publisher.pub
unchanged
