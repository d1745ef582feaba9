# SPDX-License-Identifier: Apache-2.0
# A lock file holds a project to what it was made of; its CI is told when that changed.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null
remember
organ lock tiny/organ@^1 >said
grep -q '^tiny/organ:1.0.0  sha256:' said
organ lock --check >/dev/null
cp organ.lock first.lock
expect 1 organ lock tiny/organ 2>err
grep -q 'is there already' err
organ lock tiny/organ@^1 --out second.lock >/dev/null
cmp first.lock second.lock

# A newer version changes nothing but the answer to CI.
organ publish organ tiny/organ:1.1.0 --key publisher.key >/dev/null
expect 3 organ lock --check >said
grep -q 'incompatible  tiny/organ:1.0.0: is out of date: tiny/organ@^1 is 1.1.0 now' said
organ install tiny/organ --locked organ.lock --into model --at 2 >said 2>err
grep -q '^tiny/organ:1.0.0 is now' said
organ uninstall model >/dev/null
unchanged
organ verify --locked organ.lock >said
python3 -c 'import json; lock = json.load(open("organ.lock")); lock["organs"] = []; json.dump(lock, open("none.lock", "w"))'
expect 6 organ verify --locked none.lock >none 2>err
grep -q 'locks no organ' err
grep -q 'tiny/organ:1.0.0' said
organ verify tiny/organ@^1 --locked organ.lock | grep -q 'tiny/organ:1.0.0'
expect 3 organ install tiny/organ:1.1.0 --locked organ.lock --into model --at 2 2>err
expect 6 organ install other/organ --locked organ.lock --into model --at 2 2>err
grep -q 'is not in the lock file' err
organ lock --update tiny/organ >said
grep -q '^tiny/organ:1.1.0' said
organ lock --check >/dev/null
organ lock --update tiny/organ >/dev/null 2>err
grep -q 'nothing changed' err
expect 6 organ lock --update other/organ 2>err
for words in '' '--check tiny/organ' '--check --update tiny/organ' 'tiny/organ tiny/organ:1.0.0 --out x'; do
  expect 2 organ lock $words 2>err
done

# The log's key hands over: a machine that has seen no registry before follows it from the lock file.
key=$(organ log root | sed -n 's/^log key    //p')
grep -qF "$key" organ.lock
organ log root --rotate >/dev/null 2>&1
XDG_CONFIG_HOME="$PWD/elsewhere" organ lock --check >/dev/null 2>&1
XDG_CONFIG_HOME="$PWD/elsewhere" organ verify --locked organ.lock >/dev/null 2>&1
new=$(organ log root | sed -n 's/^log key    //p')
test "$key" != "$new"
sed "s,$key,$new," organ.lock >early.lock
expect 5 organ lock --check --out early.lock >said
grep -q 'does not follow the lock file' said

# A folder is what was locked, or is not.
organ install organ --locked first.lock --into model --at 2 >/dev/null 2>err
organ uninstall model >/dev/null
expect 3 organ install organ --locked organ.lock --into model --at 2 2>err
organ extract model --layers 1:4 --name tiny/organ --organ-version 1.0.0 --out other >/dev/null
expect 5 organ install other --locked first.lock --into model --at 1 --allow-unsigned 2>err
grep -q 'was locked with' err

# Withdrawn: yanked still installs, with a warning; revoked does not.
organ yank tiny/organ:1.0.0 --reason 'a draft' >/dev/null
expect 3 organ lock --check --out first.lock >said
grep -q 'is yanked: a draft' said
organ install tiny/organ --locked first.lock --into model --at 2 >/dev/null 2>err
grep -q 'yanked: a draft' err
organ uninstall model >/dev/null
organ revoke tiny/organ:1.0.0 --reason 'memorises' >/dev/null
expect 5 organ lock --check --out first.lock >said
expect 5 organ install tiny/organ --locked first.lock --into model --at 2 2>err
grep -q 'revoked: memorises' err
unchanged

# Another registry of the same name, to a machine that has seen none before.
rm -rf registry "$HOME/.config"
make_registry
organ publish organ >/dev/null
expect 5 organ install tiny/organ --locked first.lock --into model --at 2 2>err
grep -q 'its log key is' err
expect 5 organ verify --locked first.lock 2>err
expect 5 organ lock --check --out first.lock >said
expect 5 organ lock --update tiny/organ --out first.lock 2>err
sed -i 's/"version": "1.0.0"/"version": "1.0"/' first.lock
expect 4 organ lock --check --out first.lock 2>err
unchanged
