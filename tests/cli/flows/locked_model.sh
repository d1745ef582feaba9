# SPDX-License-Identifier: Apache-2.0
# Somebody else is changing the model: exit 7, not a wait without end.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
organ install organ --into model --at 2 --key publisher.pub >/dev/null 2>&1
test -e model/.organ/lock
expect 7 flock model/.organ/lock organ uninstall model
