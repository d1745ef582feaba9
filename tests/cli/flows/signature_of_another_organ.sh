# SPDX-License-Identifier: Apache-2.0
# A trusted signature over other bytes: no option lets it in, so none is offered. One that cannot be
# read hides nothing.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
mv organ signed
organ extract model --layers 1:4 --name tiny/organ --organ-version 1.0.0 --out organ >/dev/null 2>&1
cp signed/model.sig organ/model.sig
remember
for more in "--key publisher.pub" "--key publisher.pub --allow-unsigned"; do
  expect 5 organ install organ --into model --at 1 $more >/dev/null 2>said
  grep -q "^organ: 'organ': not trusted: " said
  if grep "^hint: " said; then exit 98; fi
done
unchanged
# One that is too long to be read hides no damage.
head -c 33554433 /dev/zero >organ/model.sig
echo more >>organ/README.md
expect 4 organ verify organ --key publisher.pub >verify.txt
grep -q "README.md" verify.txt
grep -q "model.sig" verify.txt
# What else there is to see is shown, and that there is a signature.
expect 4 organ inspect organ >inspect.txt
grep -q '^layers  *1 to 3 of 6$' inspect.txt
test "$(grep -c '^signed by  *a signature that cannot be read: .*expected at most' inspect.txt)" = 1
echo 'no signature' >organ/model.sig
expect 4 organ inspect organ >inspect.txt
grep -q '^signed by  *a signature that cannot be read: .*bad JSON' inspect.txt
expect 4 organ inspect organ --json >inspect.json
python3 -c 'import json; r = json.load(open("inspect.json"))
assert r["manifest"]["name"] == "tiny/organ" and r["signatures"] == [], r
assert [one["code"] for one in r["unreadable"]] == ["corrupt"], r'
