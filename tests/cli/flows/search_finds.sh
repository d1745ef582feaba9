# SPDX-License-Identifier: Apache-2.0
# What is published is found by words, by fields and by the model it fits; what was withdrawn is not.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_organ
python3 "$ORGAN_TOOLS/make_tiny_model.py" other --hidden 16 >/dev/null
organ extract other --layers 0:1 --name med/notes --organ-version 1.0.0 --out notes >/dev/null
organ registry init --registry store >/dev/null 2>&1
find_() { organ search --registry store "$@" 2>/dev/null; }
publish() { organ publish --registry store "$@" >/dev/null 2>&1; }
publish organ tiny/organ:1.0.0
publish organ tiny/organ:1.1.0
publish notes med/notes:1.0.0
test "$(find_ | wc -l)" = 3
test "$(find_ notes | cut -d' ' -f1)" = med/notes:1.0.0
test -z "$(find_ notes tiny)"
# It fits what it was cut from and nothing else here.
test "$(find_ --fits model | cut -d' ' -f1)" = 'tiny/organ:1.0.0
tiny/organ:1.1.0'
test "$(find_ --fits other --json | grep -c '"version": "1.0.0"')" = 1
test "$(find_ --fits other --family llama | wc -l)" = 1
test -z "$(find_ --fits other --family gpt2)"
organ check --registry store tiny/organ --recipient model >/dev/null 2>&1
# The newest one was withdrawn.
organ yank tiny/organ:1.1.0 --reason 'wrong text' --registry store >/dev/null 2>&1
test "$(find_ tiny | cut -d' ' -f1)" = tiny/organ:1.0.0
find_ tiny --all | grep -q 'tiny/organ:1.1.0 .*yanked'
test "$(find_ --limit 1 | wc -l)" = 1
organ search --registry store --limit 1 2>&1 >/dev/null | grep -q 'the first 1; --limit 0 shows all'
# index.json shows what there was when it was asked for.
organ registry index --registry store >/dev/null 2>&1
test "$(grep -o 'ref.name' store/index.json | wc -l)" = 3
publish organ tiny/organ:1.2.0
organ verify --all --registry store --allow-unsigned >/dev/null 2>&1
test "$(grep -o 'ref.name' store/index.json | wc -l)" = 3
sed -i 's/1\.0\.0/9.9.9/' store/index.json
organ verify --all --registry store --allow-unsigned >said 2>&1 && exit 1
grep -q 'organ registry index writes it anew' said
