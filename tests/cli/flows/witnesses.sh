# SPDX-License-Identifier: Apache-2.0
# Two of three witnesses must have cosigned what counts. One of them holds no write access: it sends
# what it has cosigned.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null
for who in w1 w2 w3; do
  organ key generate $who --for witness --name $who.example.org >/dev/null 2>&1
done
witness() { who=$1; shift; XDG_CONFIG_HOME="$PWD/of-$who" organ log cosign "$@"; }
organ log root --witness w1.vkey --witness ./w2.vkey --witness "$(cat w3.vkey)" --quorum 2 >/dev/null
for ask in "root --witness" "root --root-key" "verify --key" "verify --proof none --witness"; do
  expect 2 organ log $ask garbage >/dev/null 2>err
  grep -q 'garbage. is no verifier key' err
done
expect 2 organ registry remember --key publisher.pub >/dev/null 2>err
for empty in "log verify --key" "registry remember --key" "log root --witness"; do
  expect 2 organ $empty '' >/dev/null 2>&1
done
head -c 5000 /dev/zero >big.vkey
mkdir folder.vkey
tilde='~'
for none in big.vkey folder.vkey "$tilde/w1.vkey"; do
  expect 2 organ log root --witness "$none" >/dev/null 2>&1
done
rm -r big.vkey folder.vkey
for wrong in w1.vkey publisher.pub; do
  expect 2 organ log cosign registry --key $wrong 2>err
  grep -q 'expected a private key' err
done
chmod 644 w1.key
expect 2 organ log cosign registry --key w1.key 2>err
grep -q 'private key has mode 0644' err
chmod 600 w1.key
remember
expect 5 organ install tiny/organ:1.0.0 --into model --at 2 >/dev/null 2>err
grep -q 'not witnessed: it is entry 2 of the log, which 2 of 3 witnesses must have cosigned' err
unchanged

witness w1 registry --key w1.key >said 2>/dev/null
grep -q '^cosigned 4 entries at 20.* as w1.example.org$' said
witness w2 registry --key w2.key --out w2.note >/dev/null 2>&1
grep -q '^. w2.example.org ' w2.note
expect 5 organ verify tiny/organ:1.0.0 >/dev/null
organ log cosign --add w2.note >/dev/null
organ verify tiny/organ:1.0.0 >said
grep -q '2 of 3 witnesses have cosigned the first 4 entries of the log' said
organ install tiny/organ:1.0.0 --into model --at 2 >/dev/null
organ uninstall model >/dev/null
unchanged
organ log verify >said
test "$(grep -c '^witness  ' said)" = 2

# What comes next waits for them, by its name too.
organ publish organ tiny/organ:1.1.0 --key publisher.key >/dev/null
organ show tiny/organ | grep -q 'tiny/organ:1.0.0'
expect 5 organ verify tiny/organ:1.1.0 >said
grep -q 'not witnessed' said
for command in "export tiny/organ:1.1.0 --out handed-on" "lock tiny/organ:1.1.0"; do
  expect 5 organ $command >/dev/null 2>err
  grep -q 'tiny/organ:1.1.0: not witnessed: ' err
done
test ! -e handed-on
organ show tiny/organ:1.1.0 >said
grep -q '^state  *not witnessed: ' said
if grep -q '^yanked' said; then exit 99; fi
organ log verify 2>err >/dev/null
grep -q '2 of 3 witnesses have cosigned the first 4 of 5 entries' err
organ log prove tiny/organ:1.0.0 --out organ.proof >/dev/null
organ log verify --proof organ.proof --witness "$(cat w1.vkey)" --witness "$(cat w2.vkey)" >said
test "$(grep -c '^cosigned by w' said)" = 2
expect 5 organ log verify --proof organ.proof --witness "$(cat w3.vkey)" 2>err >/dev/null
grep -q 'cosigned by 0 of 1 witness, 1 must have' err
witness w1 registry --key w1.key >/dev/null 2>&1
witness w3 registry --key w3.key >/dev/null 2>&1
organ show tiny/organ | grep -q 'tiny/organ:1.1.0'

# A witness that has seen more does not vouch for less; readers who never saw more learn it from it.
cp -r registry/organ/witness seen
cp -r registry today
organ yank tiny/organ:1.1.0 --reason 'a draft' >/dev/null
witness w1 registry --key w1.key >/dev/null 2>&1
cp registry/organ/witness/* seen
rm -rf registry
cp -r today registry
expect 5 witness w1 registry --key w1.key 2>err
grep -q 'rollback' err
cp seen/* registry/organ/witness
expect 5 env XDG_CONFIG_HOME="$PWD/new" organ list 2>err
grep -q 'witness w1.example.org.*rollback: it has cosigned 6 entries, and the log shows 5' err

# Nor does one vouch for what another contradicts.
expect 5 env XDG_CONFIG_HOME="$PWD/of-w3" organ log cosign registry --key w3.key 2>err
grep -q 'witness w1.example.org.*rollback: ' err

# One history of a log, wherever its copies lie, whatever is forgotten.
rm -rf registry
cp -r today registry
cp -r today copy
owner() { XDG_CONFIG_HOME="$PWD/owner" organ "$@"; }
owner alias tiny/organ@stable 1.0.0 >/dev/null 2>&1
witness w3 registry --key w3.key >/dev/null 2>&1
owner publish organ tiny/organ:6.6.6 --key publisher.key --registry copy >/dev/null 2>&1
XDG_CONFIG_HOME="$PWD/of-w3" organ registry remember --registry copy --replace >/dev/null 2>&1
expect 5 witness w3 copy --key w3.key 2>err
grep -q 'the first 6 entries of the log .* had been cosigned, and what is here does not go on from there' err

# Strangers are no witnesses.
organ key generate w9 --for witness --name w9.example.org >/dev/null 2>&1
expect 5 witness w9 registry --key w9.key >/dev/null 2>err
grep -q 'none of the 3 witnesses' err
expect 2 organ log cosign 2>/dev/null
expect 2 organ log cosign --key w1.key --add w2.note 2>/dev/null
expect 2 witness w3 registry --key publisher.key 2>err >/dev/null
grep -q 'not an Ed25519 private key' err
