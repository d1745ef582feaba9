# SPDX-License-Identifier: Apache-2.0
# An organ that nobody trusted has signed is refused, and the recipient stays as it was.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_organ
organ key generate publisher >/dev/null 2>&1
make_registry
remember
expect 5 organ install organ --into model --at 2
unchanged
