# SPDX-License-Identifier: Apache-2.0
# Every command's help has a usage line, at least two examples and the exit codes.
commands_of() { sed -n '/^Subcommands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p'; }

check() {
  organ "$@" --help >help
  grep -q "^Usage: organ $*" help || echo "$*: no usage line"
  if grep -q '^Subcommands:' help; then
    for inner in $(commands_of <help); do check "$@" "$inner"; done
    return
  fi
  grep -q '^Exit codes: 0 ok' help || echo "$*: no exit codes"
  test "$(grep -c "^  organ $*" help)" -ge 2 || echo "$*: fewer than two examples"
}

organ --help | commands_of >commands
test -s commands
while read -r command; do check "$command"; done <commands
