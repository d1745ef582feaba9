# SPDX-License-Identifier: Apache-2.0
# verify that looked at nothing must not look like success.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
expect 2 organ verify
make_model model
make_signed_organ
mkdir only
cp organ/organ.json organ/model.sig only
expect 6 organ verify only --key publisher.pub >said
grep -q '^note   only its manifest is here, for organ check; no contents were verified$' said
grep -q '^1 organ looked at, 0 B read$' said
