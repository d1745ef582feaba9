# SPDX-License-Identifier: Apache-2.0
# Keys are never overwritten, never readable by others, and open only with their passphrase.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_organ
echo right >right.txt
echo wrong >wrong.txt
organ key generate --curve p384 --passphrase-file right.txt acme >/dev/null
test "$(stat -c %a acme.key)" = 600
grep -q ENCRYPTED acme.key
expect 1 organ key generate acme
mkdir keys
expect 2 organ key generate keys/
test ! -e keys.key
expect 2 organ sign organ --key acme.key
expect 2 organ sign organ --key acme.key --passphrase-file wrong.txt
sed '5y/abcdefghijklm/nopqrstuvwxyz/' acme.key >damaged.key
chmod 600 damaged.key
expect 2 organ sign organ --key damaged.key --passphrase-file right.txt
test ! -e organ/model.sig
organ sign organ --key acme.key --passphrase-file right.txt >/dev/null
expect 1 organ sign organ --key acme.key --passphrase-file right.txt
ORGAN_KEY_PASSPHRASE=right organ sign organ --key acme.key --replace >/dev/null
organ sign organ --key acme.key --replace --passphrase-fd 3 3<right.txt >/dev/null
id=$(organ inspect acme.pub --json | sed -n 's/.*"key_id": "\([0-9a-f]*\)".*/\1/p')
organ inspect organ/model.sig | grep -q "names key     $id"
chmod 644 acme.key
expect 2 organ sign organ --key acme.key --replace --passphrase-file right.txt
