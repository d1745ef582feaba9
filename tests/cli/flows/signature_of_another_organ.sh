# SPDX-License-Identifier: Apache-2.0
# A trusted signature over other bytes: no option lets it in, so none is offered.
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
