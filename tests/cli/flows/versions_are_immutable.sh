# SPDX-License-Identifier: Apache-2.0
# The same content again is fine; other content under the same version is refused.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null 2>&1
organ publish organ >/dev/null 2>&1
rm -r organ model
make_model model --seed 2
make_organ
organ sign organ --key publisher.key >/dev/null 2>&1
expect 1 organ publish organ
organ verify --all >/dev/null 2>&1
