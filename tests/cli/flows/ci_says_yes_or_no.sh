# SPDX-License-Identifier: Apache-2.0
# One command, every check, one exit code: the worst. All checks run whatever the first one said.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null
organ ci tiny/organ:1.0.0 --recipient model
organ ci organ --key publisher.pub --quiet
echo '{"schema_version":1,"checks":{"license":"required","finite":"off"},"licenses":["mit"],
  "recipients":[{"model":"model","at":3},{"model":"nowhere"}],
  "evaluations":[{"max_perplexity":9}]}' >organ-ci.json
expect 6 organ ci tiny/organ:1.0.0 --policy-file organ-ci.json
mkdir elsewhere
(cd elsewhere && expect 6 organ ci tiny/organ:1.0.0 --registry ../registry --policy-file ../organ-ci.json >../said)
grep -c '^passed   compatibility: ../model at layer 3' said

# Damage, no signature that counts and a file too many: each is said, and corrupt is the worst.
organ key generate stranger >/dev/null 2>&1
cp -r organ damaged
flip damaged/layer.01.safetensors 9000
echo more >damaged/notes.txt
expect 4 organ ci damaged --key stranger.pub --recipient model --junit ci.xml --sarif ci.sarif
grep -c '<testcase' ci.xml
grep -c '"ruleId": "verify/corrupt"' ci.sarif
expect 5 organ ci organ --key stranger.pub -q
expect 6 organ ci ./nothere -q
rm damaged/organ.json
expect 6 organ ci damaged -q
echo '{}' >damaged/organ.json
expect 4 organ ci damaged -q
expect 6 organ ci tiny/other:1.0.0 -q

# A signature that cannot be read is no signature that is missing, and hides nothing else.
cp -r organ unread
head -c 33554433 /dev/zero >unread/model.sig
echo '{"schema_version":1,"checks":{"policy":"warn","digests":"off","finite":"off"}}' >warn.json
expect 4 organ ci unread --key publisher.pub --policy-file warn.json -q >said
grep -q "FAILED   signature" said
flip unread/layer.01.safetensors 9000
expect 4 organ ci unread --key publisher.pub --sarif ci.sarif -q >/dev/null
grep -q 'layer.01.safetensors' ci.sarif
rm -r unread

# A failure that is only to warn is said and passes; nothing off is read.
echo '{"schema_version":1,"checks":{"signature":"warn","policy":"warn","digests":"off","finite":"off"}}' >mild.json
organ ci organ --policy-file mild.json --key stranger.pub

# Which organ it is was asked for on the command line: no policy file turns that off.
echo '{"schema_version":1,"checks":{"digests":"off","finite":"off"}}' >lax.json
expect 5 organ ci organ --key publisher.pub --as tiny/other --policy-file lax.json -q

# A pipeline's own mistakes are usage errors, and the organ may not say what is demanded of it.
expect 4 organ ci organ --policy-file publisher.pub 2>>errors
cp organ-ci.json organ/organ-ci.json
expect 2 organ ci organ --policy-file organ/organ-ci.json 2>>errors
rm organ/organ-ci.json
expect 2 organ ci organ --junit organ/ci.xml 2>>errors
expect 2 organ ci organ --junit registry/ci.xml 2>>errors
expect 2 organ ci organ --recipient model --junit model/config.json 2>>errors
expect 2 organ ci organ --policy-file organ-ci.json --sarif ./organ-ci.json 2>>errors
expect 2 organ ci organ --junit both --sarif ./both 2>>errors
expect 2 organ ci organ --sarif elsewhere 2>>errors
expect 6 organ ci organ --sarif nowhere/ci.sarif 2>>errors
cut -d : -f 1-3 errors | sed "s|$PWD/||"
test ! -e organ/ci.xml
organ ci tiny/organ:1.0.0 --json | python3 -c 'import json, sys
record = json.load(sys.stdin)
print(record["ok"], len(record["checks"]), {check["outcome"] for check in record["checks"]} == {"passed", "skipped"})'
organ yank tiny/organ:1.0.0 --reason "a draft" >/dev/null
organ ci tiny/organ:1.0.0 -q
organ revoke tiny/organ:1.0.0 --reason "leaks names" >/dev/null
expect 5 organ ci tiny/organ:1.0.0 -q
