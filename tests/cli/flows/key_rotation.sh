# SPDX-License-Identifier: Apache-2.0
# A worked key rotation: the log's key hands over once by itself, then by two of three keys that lie
# elsewhere. Who remembers an old key follows; who has it goes nowhere.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null
reader() { XDG_CONFIG_HOME="$PWD/reader" organ "$@"; }
reader list >/dev/null 2>&1

# 1. The log's key alone speaks for the log, so it hands over alone.
organ log root >said
grep -q '^root       1$' said
grep -q '^next root  signed by 1 of 1 key$' said
old=$(sed -n 's/^log key    //p' said)
cp registry/organ/log.key stolen.key
cp -r registry before
organ log root --rotate --expires 2199-12-31 >said 2>/dev/null
grep -q '^root       2$' said
grep -q '^expires    2199-12-31T00:00:00Z$' said
new=$(sed -n 's/^log key    //p' said)
test "$old" != "$new"
reader list >/dev/null 2>err
grep -q 'root 2, which follows root 1 by its keys. signatures' err
grep -qF "its log key is now $new" err
reader list 2>err >/dev/null
test ! -s err
organ log | grep -q ' root  *who speaks for the log'
organ log verify >/dev/null

# 2. The old key is worth nothing any more.
cp -r registry after
cp stolen.key registry/organ/log.key
expect 5 organ publish organ tiny/organ:1.1.0 --key publisher.key >/dev/null 2>err
grep -q 'not the key that' err
rm -rf registry
cp -r before registry
XDG_CONFIG_HOME="$PWD/thief" organ yank tiny/organ:1.0.0 --reason 'by the thief' >/dev/null 2>&1
expect 5 reader list 2>err >/dev/null
grep -q 'another registry is in its place\|its history is not the one' err
rm -rf registry
cp -r after registry

# 3. Three people's keys, two of which change the root from now on. Each signs where its key lies.
for who in ada bob eve; do
  organ key generate $who --for root --name $who.example.org >/dev/null 2>&1
done
organ log root --root-key "$(cat ada.vkey)" --root-key "$(cat bob.vkey)" --root-key "$(cat eve.vkey)" \
  --threshold 2 --out next.root >/dev/null 2>err
grep -q 'signed by 1 of 1 needed key of root 2, and by 0 of 2 of its own' err
expect 5 organ log root --apply next.root >/dev/null 2>err
grep -q 'signed by 0 of its own keys, it asks for 2' err
mkdir vault
cp next.root ada.key ada.vkey vault
(cd vault && ORGAN_REGISTRY=none organ log root --sign next.root --key ada.key) | grep -q 'signed by 2 of 3 keys'
organ log root --sign vault/next.root --key bob.key >/dev/null
organ log root --apply vault/next.root >/dev/null 2>&1
organ log root | grep -q '^next root  signed by 2 of 3 keys$'

# 4. The log's key alone does not hand over any more; two of the three do, and nothing is asked for less
# unless that is said.
expect 2 organ log root --rotate >/dev/null 2>err
grep -q 'the log key counts for ever, it had an end' err
expect 5 organ log root --rotate --expires 2199-12-31 >/dev/null 2>err
grep -q 'signed by 0 of 2 needed keys of root 3' err
organ log root --rotate --expires 2199-12-31 --key ada.key --key eve.key >/dev/null 2>&1
organ log root --json | grep -q '"version":4\|"version": 4'
reader list >/dev/null 2>&1
expect 2 organ log root --threshold 1 --key ada.key --key eve.key >/dev/null 2>err
grep -q -e '--lower says that this is meant' err
organ log root --threshold 1 --lower --key ada.key --key eve.key >/dev/null 2>&1
reader list >/dev/null 2>err
grep -q 'its root asks for less: 1 of 3 keys sign the next root, 2 of 3 keys did' err

# A root that goes round to be signed has its key waiting here. Nobody takes it away unawares.
organ log root --rotate --expires 2199-12-31 --out round.root >/dev/null 2>&1
waiting=$(sha256sum <registry/organ/log.key.next)
expect 7 organ log root --rotate --expires 2199-12-31 --key bob.key >/dev/null 2>err
grep -q 'a next key of the log waits' err
grep -q -e '--discard-next' err
expect 1 organ log root --rotate --discard-next --expires 2199-12-31 --out round.root >/dev/null 2>&1
test "$waiting" = "$(sha256sum <registry/organ/log.key.next)"
organ log root --sign round.root --key eve.key >said
grep -q '^root       6$' said
grep -q '^root 6 is signed$' said
organ log root --apply round.root >/dev/null 2>&1
test ! -e registry/organ/log.key.next
expect 2 organ log root --discard-next --threshold 1 --key ada.key 2>err
grep -q -e '--discard-next is for --rotate' err

# 5. A key that comes to its end says so ahead, then ends.
soon=$(python3 -c 'import time; print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400)))')
organ log root --expires "$soon" --key ada.key >/dev/null 2>&1
organ list 2>err >/dev/null
grep -q 'its log key counts until' err
organ log root --expires 2020-01-01 --key ada.key >/dev/null 2>&1
expect 5 organ verify tiny/organ:1.0.0 >/dev/null 2>err
grep -q 'expired: its log key counted until 2020-01-01T00:00:00Z' err
expect 5 organ publish organ tiny/organ:1.2.0 --key publisher.key >/dev/null 2>err
grep -q 'organ log root --rotate' err
organ log root --rotate --expires 2199-12-31 --key bob.key >/dev/null 2>&1
organ publish organ tiny/organ:1.2.0 --key publisher.key >/dev/null
reader log verify >/dev/null 2>&1
organ registry rebuild >/dev/null
organ verify --all >/dev/null
