# SPDX-License-Identifier: Apache-2.0
# What the catalog says is checked when it is read, and shown escaped: whoever can write the file
# writes nothing to a terminal.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null
tamper() {
  cp registry/organ/catalog.db good.db
  python3 - "$1" "$2" "$3" <<'PYTHON'
import sqlite3, sys
table, column, value = sys.argv[1:]
with sqlite3.connect("registry/organ/catalog.db") as database:
    if table == "aliases":
        database.execute("INSERT INTO aliases VALUES ('tiny/organ', ?, "
                         "(SELECT min(id) FROM versions), 1)", (value,))
    else:
        database.execute(f"UPDATE {table} SET {column} = ?", (value,))
PYTHON
}
evil=$(printf 'a\033[31mb\007')
for what in "versions name $evil" "versions version $evil" "aliases alias $evil" \
    "versions manifest_digest $evil" "versions architecture_signature $evil" \
    "signatures manifest_digest $evil" "versions name Upper" "versions version 1" "aliases alias 1.0.0"; do
  set -- $what
  tamper "$@"
  for command in "list" "list --json" "verify --all" "registry rebuild"; do
    got=0
    organ $command >out 2>err || got=$?
    case "$command:$1" in
      "registry rebuild:"*) wanted=0 ;;
      "list:signatures" | "list --json:signatures") wanted=0 ;;
      "list:aliases" | "list --json:aliases") wanted=0 ;; # the log has them, the row is not looked at
      *) wanted=4 ;;
    esac
    test "$got" = "$wanted" || { echo "$what: $command: exit $got" >&2; cat err >&2; exit 99; }
    test "$wanted" = 0 || grep -q 'organ registry rebuild' err out || cat err >&2
    if grep -q "$(printf '[\033\007]')" out err; then echo "$what: $command: raw" >&2; fi
  done
  organ verify --all >/dev/null
done
# Texts that may be anything are shown escaped.
tamper versions description "$evil"
for command in "list" "list --json" "show tiny/organ:1.0.0" "show tiny/organ:1.0.0 --json"; do
  organ $command >out
  if grep -q "$(printf '[\033\007]')" out; then echo "description: $command: raw" >&2; fi
done
# A bad name hides no hint: the log has names of its own.
tamper versions name Upper
for command in "list tiny/orgna" "show tiny/orgna" "log tiny/orgna"; do
  expect 6 organ $command 2>err
done
grep -qx "hint: did you mean 'tiny/organ'?" err
