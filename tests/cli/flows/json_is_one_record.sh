# SPDX-License-Identifier: Apache-2.0
# --json prints one record with schema_version on stdout, and errors as one on stderr.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
for command in "publish organ" "list" "show tiny/organ:1.0.0" "verify tiny/organ:1.0.0" \
  "check organ --recipient model --at 2" "install tiny/organ:1.0.0 --into model --at 2" \
  "uninstall model" "inspect organ" "log" "doctor"; do
  # shellcheck disable=SC2086  # the words of a command
  organ $command --json >out.json 2>err.txt || { echo "organ $command --json: failed" >&2; cat err.txt >&2; exit 99; }
  python3 -c 'import json,sys; r = json.load(open("out.json")); assert r["schema_version"] == 1, r; assert isinstance(r, dict)' ||
    { echo "organ $command --json: no record" >&2; exit 99; }
done
expect 6 organ show no/such:1.0.0 --json 2>error.json
python3 -c 'import json; r = json.load(open("error.json")); assert r["message_type"] == "exit_error" and r["exit_code"] == 6, r'
