# SPDX-License-Identifier: Apache-2.0
# Install, then uninstall: every file has its old SHA-256, in one file and in shards.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
for shards in 1 3; do
  make_model model --shards $shards --seed 1
  make_signed_organ
  rm -r model
  make_model model --shards $shards --seed 2
  remember
  organ install organ --into model --at 1 --key publisher.pub >/dev/null 2>&1
  if sha256sum --status --check before.sha256; then echo "install changed nothing" >&2; exit 99; fi
  organ uninstall model >/dev/null 2>&1
  sha256sum --quiet --check before.sha256
  rm -r model organ publisher.*
done
