# SPDX-License-Identifier: Apache-2.0
# Every command's help, a group's too, has a usage line, at least two examples and the exit codes, and
# no line of more than 80 columns but for an example. Commands of organ-train are shown too; theirs is read where
# it is built.
commands_of() { sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p'; }
groups_of() { sed -n '/^Subcommands:/,/^$/p' | commands_of; }
train_commands='train recover eval generate baseline'

check_width() {
  sed '/^Examples:/,/^$/d' help | grep -nE '^.{81,}' | sed "s/^/$*: too wide: /" || true
}

check() {
  organ "$@" --help >help
  organ help "$@" | cmp -s - help || echo "$*: 'organ help' says something else"
  check_width "$@"
  grep -q "^Usage: organ $*" help || echo "$*: no usage line"
  grep -q '^Exit codes: 0 ok' help || echo "$*: no exit codes"
  test "$(grep -c "^  organ $*" help)" -ge 2 || echo "$*: fewer than two examples"
  for inner in $(groups_of <help); do check "$@" "$inner"; done
}

organ --help | commands_of >commands
for command in $train_commands; do
  grep -qx "$command" commands || echo "$command: not in organ --help"
done
program=$(command -v organ)
if ! test -x "$(dirname "$program")/organ-train"; then
  organ --help | grep -q 'organ-train is not installed' || echo "not said: organ-train is missing"
  for command in $train_commands; do sed -i "/^$command\$/d" commands; done
fi
test "$(wc -l <commands)" -ge 14
while read -r command; do check "$command"; done <commands
organ --help >help
check_width organ
if test -x "$(dirname "$program")/organ-train"; then
  "$(dirname "$program")/organ-train" --help >help
  check_width organ-train
fi
