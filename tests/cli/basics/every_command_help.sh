# SPDX-License-Identifier: Apache-2.0
# Every command's help has a usage line, at least two examples and the exit codes.
organ --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p' >commands
test -s commands
while read -r command; do
  organ "$command" --help >help
  grep -q "^Usage: organ $command" help || echo "$command: no usage line"
  grep -q '^Exit codes: 0 ok' help || grep -q '^Subcommands:' help || echo "$command: no exit codes"
  test "$(grep -c "^  organ $command" help)" -ge 2 || grep -q '^Subcommands:' help ||
    echo "$command: fewer than two examples"
done <commands
