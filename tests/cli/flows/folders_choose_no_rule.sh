# SPDX-License-Identifier: Apache-2.0
# A folder's own word for its name gets it no weaker rule; --as says the name. --key keeps the number
# of signatures that a rule asks for.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
organ key generate publisher >/dev/null 2>&1
organ key generate second >/dev/null 2>&1
organ registry init --key publisher.pub --pattern 'tiny/*' >/dev/null
organ registry trust publisher.pub --pattern 'scratch/*' --mode off >/dev/null
organ extract model --layers 2:5 --name scratch/x --organ-version 1.0.0 --out x >/dev/null
remember
expect 5 organ install x --into model --at 2 >/dev/null 2>&1
expect 5 organ verify x >said
grep -q "not taken on the organ's own word" said
unchanged
expect 5 organ install x --into model --at 2 --as tiny/organ >/dev/null 2>&1
unchanged
organ install x --into model --at 2 --as scratch/x >/dev/null 2>err
grep -q 'turns signature checks off' err
organ uninstall model >/dev/null
unchanged

organ extract model --layers 2:5 --name tiny/organ --organ-version 1.0.0 --out organ >/dev/null
organ sign organ --key publisher.key >/dev/null
organ registry trust second.pub --pattern 'tiny/*' --threshold 2 >/dev/null
expect 5 organ verify organ >/dev/null
expect 5 organ verify organ --key publisher.pub >/dev/null
organ registry distrust second.pub >/dev/null 2>err
grep -q "'tiny/\*': 2 keys must sign and 1 can" err
expect 5 organ verify organ >/dev/null
organ registry trust publisher.pub --pattern 'tiny/*' --threshold 1 >/dev/null
organ verify organ >/dev/null
