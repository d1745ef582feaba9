# SPDX-License-Identifier: Apache-2.0
# An organ made of the recipient's own layers changes no byte of the weights.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model --shards 3
make_signed_organ
remember
organ install organ --into model --at 2 --key publisher.pub >/dev/null 2>&1
sha256sum --quiet --check before.sha256
organ uninstall model >/dev/null 2>&1
sha256sum --quiet --check before.sha256
