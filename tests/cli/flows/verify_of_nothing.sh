# SPDX-License-Identifier: Apache-2.0
# verify that looked at nothing must not look like success.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
expect 2 organ verify
