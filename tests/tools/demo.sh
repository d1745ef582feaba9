#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The story of `./dev demo`: train, sign, publish, refuse, transplant, measure, undo. ./dev builds
# first, puts the programs in PATH and sets ORGAN_MODELS. Every command is printed as a person would
# type it, inside the folder demo/, which stays until the
# next demo; what the page shows lies in demo/record/.
set -euo pipefail
unset CDPATH  # else `cd demo` may end in another folder of that name
cd -- "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/../.."
before=${DEMO_SECONDS:-0}  # how long setting up and building took
exec 2>&1                  # refusals are part of the story and stay in order

tell() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
if [[ ! -t 1 ]]; then tell() { printf '\n# %s\n' "$*"; }; fi

# run TEXT: prints a command line and executes exactly that.
run() {
  printf '$ %s\n' "$1"
  eval "$1"
}

# run_as KEY TEXT: the same, and the page shows the line and its time under this key.
run_as() {
  local start=$SECONDS
  run "$2"
  note_command "$1" 0 $((SECONDS - start)) "$2"
}

# note_command KEY EXIT-CODE SECONDS TEXT
note_command() {
  printf '%s\t%d\t%d\t%s\n' "$1" "$2" "$3" "$(printf '%s' "$4" | tr -s '\\\n ' ' ')" >>record/commands.tsv
}

# refused KEY CODE TEXT: the demo fails when the tool does not refuse with this exit code.
refused() {
  local code=0
  run "$3" >"record/$1.txt" 2>&1 || code=$?
  cat "record/$1.txt"
  printf '(exit code %d)\n' "$code"
  if ((code != $2)); then
    printf 'demo: expected exit code %d\n' "$2"
    exit 1
  fi
  sed -i 1d "record/$1.txt"  # the command line stands in commands.tsv
  note_command "$1" "$code" 0 "$3"
}

report() { /usr/bin/python3 ../tests/tools/demo_report.py "$@"; }

# measure KEY MODEL: P0 on the held-out files.
measure() {
  run_as "$1" "organ eval $2 --data held-out/*.txt --per-document \\
    --json >record/$1.json"
  report figure record "$1"
}

# What the figures were made on.
describe_machine() {
  printf 'date\t%s\n' "$(date -u +%Y-%m-%d)"
  printf 'version\t%s\n' "$(organ --version)"
  printf 'processor\t%s\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
  printf 'cores\t%s\n' "$(nproc)"
}

# What the demo makes, and removes when it is run again. Anything else in its folder is somebody's.
made=(damaged held-out legal-1.0.0 legal-1.0.0.run other page.html publisher.key publisher.pub
  recipient record recovered recovered.run registry train)

if [[ ! -f $ORGAN_MODELS/smollm2/config.json ]]; then
  printf "demo: '%s': the model is not there; ./dev demo fetches it\n" "$ORGAN_MODELS/smollm2"
  exit 1
fi
strange=
for path in demo/* demo/.[!.]*; do
  name=${path#demo/}
  if [[ ! -e $path && ! -L $path ]]; then continue; fi
  if [[ " ${made[*]} " != *" $name "* ]]; then strange+=" $name"; fi
done
if [[ -n $strange ]]; then
  printf 'demo: the folder demo/ holds what the demo did not make:%s\n' "$strange"
  printf 'hint: move it away; what the last demo made is removed before the next one\n'
  exit 1
fi
for name in "${made[@]}"; do rm -rf "demo/$name"; done
mkdir -p demo/record
run 'cd demo'
describe_machine >record/machine.tsv
run 'export ORGAN_REGISTRY=registry'

tell "1. A model and texts of one domain: licences, whole families held out"
# shellcheck disable=SC2016  # run expands it
run 'cp -r --reflink=auto "$ORGAN_MODELS/smollm2" recipient'
run '/usr/bin/python3 ../tests/tools/demo_corpus.py .'

tell "2. The recipient, untouched, on the held-out files (about half a minute)"
measure untouched recipient
printf 'first figure after %d s, setting up and building included\n' $((before + SECONDS))

tell "3. Train three middle layers in place (one to four minutes; figures of bf16)"
run_as train 'organ train recipient --middle-third --data train/*.txt \
    --held-out held-out/*.txt --epochs 1 --batch 2 --lr 3e-4 \
    --precision bf16 --seed 1 --name legal \
    --organ-version 1.0.0 --out legal-1.0.0'
cp legal-1.0.0.run/metrics.jsonl record/

tell "4. Say once whose organs to trust; the new one is unsigned, so it is refused"
run 'organ key generate publisher </dev/null'  # it would ask a terminal for a passphrase
run 'organ registry init --key publisher.pub'
refused unsigned 5 'organ install legal-1.0.0 --into recipient --at 10'

tell "5. Sign it and publish it"
run 'organ sign legal-1.0.0 --key publisher.key'
run 'organ publish legal-1.0.0 legal:1.0.0'
run 'organ list'
run 'organ verify legal:1.0.0'

tell "6. One flipped bit in a copy: refused with file, tensor and offset"
run 'cp -r legal-1.0.0 damaged'
run '/usr/bin/python3 ../tests/tools/flip_byte.py \
    damaged/layer.01.safetensors 1000000'
refused damaged 4 'organ install damaged --into recipient --at 10'

tell "7. A recipient that this organ does not fit: refused before a weight is read"
run '/usr/bin/python3 ../tests/tools/make_tiny_model.py other \
    --name other-recipient'
refused misfit 3 'organ check legal:1.0.0 --recipient other --at 2'

tell "8. Transplant into the recipient that fits (measuring: about half a minute)"
run_as before 'sha256sum recipient/*.* >record/before.sha256'
run 'organ check legal:1.0.0 --recipient recipient --at 10'
run_as install 'organ install legal:1.0.0 --into recipient --at 10'
sha256sum recipient/*.* >record/installed.sha256
measure as_transplanted recipient

tell "9. What the organ changed: both models continue one text (some seconds)"
run_as generate 'organ generate recipient --compare-untouched --max-tokens 48 --json \
    --prompt "Subject to the terms and conditions of this License, \
each Contributor" \
    >record/generate.json'
report texts record

tell "10. Recovery: train the organ and its two neighbours more (about a minute)"
run_as recover 'organ recover recipient --data train/*.txt --steps 12 --batch 2 --lr 1e-4 \
    --precision bf16 --seed 1 --out recovered'
measure after_recovery recovered

tell "11. Undo, proved by sha256sum"
run_as uninstall 'organ uninstall recipient'
run_as after 'sha256sum recipient/*.* >record/after.sha256'
run 'cmp record/before.sha256 record/after.sha256'
printf 'every file of the recipient is what it was\n'

tell "Result on the held-out files (perplexity, lower is better)"
for key in as_transplanted after_recovery; do
  run "organ eval record/$key.json --against record/untouched.json \\
    --json >record/$key.against.json"
done
printf 'seconds\t%d\n' $((before + SECONDS)) >>record/machine.tsv
report summary record
/usr/bin/python3 ../tests/tools/demo_page.py record page.html
printf '\nfinished in %d s; what was made lies in demo/\n' $((before + SECONDS))
# shellcheck disable=SC2016  # for people to copy
printf 'the programs and the registry, for this shell:\nexport PATH=%s:$PATH ORGAN_REGISTRY=%s\n' \
  "$(dirname "$(command -v organ)")" "$PWD/registry"
printf 'the page with all of it, for a browser: %s\n' "$PWD/page.html"
