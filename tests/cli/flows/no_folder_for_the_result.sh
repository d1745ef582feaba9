# SPDX-License-Identifier: Apache-2.0
# Whatever writes a new file or folder says at once that the folder for it is not there, and makes none.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null 2>&1
: >file
before=$(ls)
for command in 'extract model --layers 0:1' 'export organ' 'export tiny/organ' 'export organ --format paper' \
  'export organ --format modelpack' 'import organ' 'install organ --into model --at 1 --key publisher.pub' \
  'registry site' 'log prove 0' 'log root --no-expiry' 'lock tiny/organ' 'attest organ --type training --key publisher.key' \
  'log cosign --key publisher.key' 'pull oci://127.0.0.1:1/a:1 --manifest-only'; do
  expect 6 organ $command --out no/such/new >/dev/null 2>said
  printf "organ: 'no/such/new': the folder 'no/such' is not there\nhint: mkdir -p 'no/such' makes it\n" | diff - said
  expect 2 organ $command --out file/new >/dev/null 2>said
  grep -q "^organ: 'file/new': 'file' is not a folder" said
done
expect 6 organ key generate no/such/new >/dev/null 2>said
grep -q "^hint: mkdir -p 'no/such' makes it" said
ln -s nowhere dead
for out in file/x/new dead/new; do
  expect 2 organ export organ --out $out >/dev/null 2>said
  grep -q "^organ: '$out': '${out%%/*}' is not a folder" said
done
rm dead
expect 6 organ verify organ --junit no/such/new >/dev/null 2>said
grep -q "^hint: mkdir -p 'no/such' makes it" said
rm said
test "$(ls)" = "$before"
