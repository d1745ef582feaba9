# SPDX-License-Identifier: Apache-2.0
# The whole log is checked against what this user has seen of it; a proof of one entry is checked by
# who has no registry.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
reader() { XDG_CONFIG_HOME="$PWD/reader" organ "$@"; }
reader log verify 2>err | grep -q '^log         2 entries, 0 versions'
grep -q 'is met for the first time' err
organ publish organ >/dev/null
reader log verify >said
grep -q '^log         3 entries, 1 version' said
grep -q '^remembered  2 entries since .*, its beginning: proved by 1 hash' said
key=$(sed -n 's/^log key     //p' said)

organ log prove tiny/organ:1.0.0 --out organ.proof >/dev/null
organ log prove 2 >same.proof
cmp organ.proof same.proof
expect 1 organ log prove 2 --out organ.proof 2>err
grep -q 'organ.proof' err
expect 6 organ log prove 3 2>err
grep -q 'no entry 3' err
expect 2 organ log prove tiny/organ:1.0.0 --out 2>/dev/null

# Elsewhere: no registry, nothing seen before.
export XDG_CONFIG_HOME="$PWD/elsewhere" ORGAN_REGISTRY="$PWD/nowhere"
expect 5 organ log verify --proof organ.proof 2>err
grep -q 'of no registry that you have met' err
organ log verify --proof organ.proof --key "$key" >said
grep -q 'publish  *tiny/organ:1.0.0  sha256:' said
grep -q 'is in the log of 3 entries' said
sed 's/1\.0\.0/1.0.1/' organ.proof >forged.proof
expect 4 organ log verify --proof forged.proof --key "$key" 2>err
grep -q 'do not lead to the root' err
expect 5 organ log verify --proof organ.proof --key 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW' 2>err
grep -q 'it is about the log of key' err
expect 2 organ log verify registry --proof organ.proof 2>err
grep -q 'a proof needs no registry' err
unset XDG_CONFIG_HOME
export ORGAN_REGISTRY="$PWD/registry"

# The list is what it was; its name does not go with a command.
organ log tiny/organ | grep -q 'publish'
expect 2 organ log tiny/organ verify 2>err
grep -q "'tiny/organ' is not expected before 'verify'" err

# Named: rollback, fork, damage.
cp -r registry yesterday
organ yank tiny/organ:1.0.0 --reason 'a draft' >/dev/null
organ log verify >/dev/null
rm -rf registry
cp -r yesterday registry
expect 5 organ log verify >said
grep -q 'rollback: seen with 4 entries since' said
rm -rf elsewhere
XDG_CONFIG_HOME="$PWD/elsewhere" organ revoke tiny/organ:1.0.0 --reason 'memorises' >/dev/null 2>&1
expect 5 organ log verify --json >said
grep -q '"fork: since .* seen with 4 entries' said
printf 'x' | dd of=registry/organ/log bs=1 seek=100 conv=notrunc 2>/dev/null
expect 4 organ log verify >said
grep -q 'entry 0 at byte 0 is damaged' said
