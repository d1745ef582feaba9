# SPDX-License-Identifier: Apache-2.0
# What looks after a registry says which one; what cannot be known of one is said too.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null
cp -r registry mirror
cp -r registry mirror2
for command in fsck gc 'repair --from mirror'; do
  organ $command 2>err >said
  grep -q "^registry  $PWD/registry\$" err
done
# The second folder is taken for the registry: the first line says so.
organ repair --from mirror mirror2 2>err >said
grep -q "^registry  $PWD/mirror2\$" err
organ doctor | grep -q "^registry   $PWD/registry\$"
organ doctor --registry nowhere | grep -q "^registry   $PWD/nowhere  (not there yet)\$"

organ verify tiny/organ:1.0.0 >said
if grep -q 'whether an older state is shown' said; then false; fi
(unset HOME XDG_CONFIG_HOME; organ verify tiny/organ:1.0.0 >said)
grep -q 'whether an older state is shown: what was seen of this registry is not remembered' said

organ registry distrust publisher.pub >said 2>err
grep -q 'no key is trusted any more' err
organ yank tiny/organ:1.0.0 --reason 'a draft' >/dev/null
expect 6 organ lock tiny/organ 2>err
grep -q 'every version was withdrawn, or is a pre-release' err

# Nor does a rule that nobody can satisfy come without a word; a key goes by the id that is printed.
organ key generate second >/dev/null 2>&1
organ registry trust publisher.pub >/dev/null
organ registry trust second.pub --threshold 2 >/dev/null
organ registry distrust "$(organ inspect second.pub | sed -n 's/^key id *//p')" >said 2>err
grep -q "warning: '\*': 2 keys must sign and 1 can: nothing of these names is accepted" err
for words in './organ' 'oci://127.0.0.1:1/a/b'; do
  expect 2 organ show "$words" 2>err
  grep -q '^hint: expected NAME, NAME:VERSION' err
done
expect 2 organ --registry nowhere pull oci://127.0.0.1:1/a/b 2>err
grep -q 'names no version' err
