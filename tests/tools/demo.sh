#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The story of `./dev demo`: train, sign, publish, refuse, transplant, measure, undo. ./dev builds
# first and sets ORGAN_MODELS and ORGAN_PEERS. Every command is printed as a person would type it,
# inside the folder demo/, which stays afterwards.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PATH=$PWD/build/cli:$PWD/build/train:$PATH
started=$SECONDS
exec 2>&1  # refusals are part of the story and stay in order

tell() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
if [[ ! -t 1 ]]; then tell() { printf '\n# %s\n' "$*"; }; fi

# run TEXT: prints a command line and executes exactly that.
run() {
  printf '$ %s\n' "$1"
  eval "$1"
}

# refused CODE TEXT: the demo fails when the tool does not refuse with this exit code.
refused() {
  local code=0
  run "$2" || code=$?
  printf '(exit code %d)\n' "$code"
  if ((code != $1)); then
    printf 'demo: expected exit code %d\n' "$1"
    exit 1
  fi
}

# measure NAME MODEL: P0 on the held-out files, kept as eval/NAME.json.
measure() {
  run "organ eval $2 --data held-out/*.txt --json | tee eval/$1.json"
}

rm -rf demo
mkdir -p demo/eval
cd demo
export ORGAN_REGISTRY=registry

tell "1. A model and texts of one domain: licences, whole families of them held out"
cp -r --reflink=auto "$ORGAN_MODELS/smollm2" recipient
run 'python3 ../tests/tools/demo_corpus.py .'

tell "2. The recipient, untouched, on the held-out files"
measure untouched recipient

tell "3. Train three middle layers in place; everything else stays frozen"
run 'organ train recipient --middle-third --data train/*.txt --held-out held-out/*.txt \
    --epochs 3 --lr 3e-4 --precision bf16 --seed 1 \
    --name legal --organ-version 1.0.0 --out legal-1.0.0'

tell "4. Say once whose organs to trust; the organ just made is unsigned, so policy refuses it"
run 'organ key generate publisher'
run 'organ registry init --key publisher.pub'
refused 5 'organ install legal-1.0.0 --into recipient --at 10'

tell "5. Sign it and publish it"
run 'organ sign legal-1.0.0 --key publisher.key'
run 'organ publish legal-1.0.0 legal:1.0.0'
run 'organ list'
run 'organ verify legal:1.0.0'

tell "6. One flipped bit in a copy: refused with file, tensor and offset"
run 'cp -r legal-1.0.0 damaged'
run 'python3 ../tests/tools/flip_byte.py damaged/layer.01.safetensors 1000000'
refused 4 'organ install damaged --into recipient --at 10'

tell "7. A second recipient that this organ does not fit: refused before any weight is read"
run 'python3 ../tests/tools/make_tiny_model.py other --name other-recipient'
refused 3 'organ check legal:1.0.0 --recipient other --at 2'

tell "8. Transplant into the recipient that fits"
run 'sha256sum recipient/*.* >before.sha256'
run 'organ check legal:1.0.0 --recipient recipient --at 10'
run 'organ install legal:1.0.0 --into recipient --at 10'
measure as_transplanted recipient

tell "9. Recovery: train the organ and its two neighbours a little more where they now live"
run 'organ recover recipient --data train/*.txt --epochs 1 --lr 1e-4 --precision bf16 --seed 1 \
    --out recovered'
measure after_recovery recovered

tell "10. Undo, proved by sha256sum"
run 'organ uninstall recipient'
run 'sha256sum --quiet --check before.sha256'
printf 'every file of the recipient is what it was\n'

tell "Result on the held-out files (perplexity, lower is better)"
python3 ../tests/tools/demo_report.py eval
printf '\nfinished in %d s; what was made lies in demo/\n' "$((SECONDS - started))"
