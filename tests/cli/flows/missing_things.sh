# SPDX-License-Identifier: Apache-2.0
# What is not there is exit 6, and nothing is made on the way.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
expect 6 organ extract nothing-here --layers 0:1 --out organ
expect 6 organ show some/organ:1.0.0
test -z "$(ls)"
