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
