# SPDX-License-Identifier: Apache-2.0
# Every option of trust decides, whatever reads the organ and however the organ was named.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null
organ lock tiny/organ >/dev/null
organ extract model --layers 1:4 --name tiny/organ --organ-version 1.0.0 --out other >/dev/null
organ key generate stranger >/dev/null 2>&1
organ publish organ tiny/organ:1.1.0 --key publisher.key >/dev/null
organ publish organ tiny/second:1.0.0 --key publisher.key >/dev/null
organ lock tiny/second --out second.lock >/dev/null
echo '{"schema_version":1,"checks":{"digests":"off","signature":"off","policy":"off"}}' >off.json
remember

# OPTIONS REF-EXIT DIR-EXIT
table='
--as=other/name 5 5
--as=tiny/organ 0 0
--key=stranger.pub 5 5
--key=publisher.pub 0 0
--locked=organ.lock 0 0
--locked=second.lock 6 6
--locked=no-such.lock 6 6
--locked=model/config.json 4 4
'
while read -r option of_ref of_dir; do
  if [ -z "$option" ]; then continue; fi
  for command in verify ci 'ci --policy-file off.json' 'install --into model --at 2'; do
    for subject in "tiny/organ:1.0.0 $of_ref" "organ $of_dir"; do
      set -- $subject
      want=$2
      # A policy file may say that no signature counts; which organ it is stays what was asked for.
      case "$command $option" in *off.json*--key=*) want=0 ;; esac
      echo "$want organ $command $1 $option" >>asked
      got=0
      organ $command "$1" "$option" >said 2>err || got=$?
      test "$got" = "$want" || { echo "expected exit $want, got $got: $command $1 $option" >&2; exit 99; }
      case $command in
      install*)
        if [ "$want" = 0 ]; then organ uninstall model >/dev/null 2>&1; fi
        unchanged
        ;;
      esac
    done
  done
done <<EOF
$table
EOF
[ "$(wc -l <asked)" = 64 ]

# Another version, or other content under the locked name.
for command in verify ci; do
  expect 3 organ $command tiny/organ:1.1.0 --locked organ.lock >said 2>err
  expect 5 organ $command other --locked organ.lock --allow-unsigned >said 2>err
done
organ ci organ --as other/name --json >record 2>err || true
python3 - <<'EOF'
import json
checks = {one["check"]: one for one in json.load(open("record"))["checks"]}
assert checks["structure"]["outcome"] == "failed", checks["structure"]
assert "not 'other/name'" in checks["structure"]["findings"][0]["message"], checks["structure"]
assert checks["digests"]["outcome"] == "skipped", checks["digests"]
EOF

# One name, several organs: it would be passed over.
expect 2 organ verify --all --as tiny/organ 2>err
expect 2 organ verify --locked organ.lock --as tiny/organ 2>err
