# SPDX-License-Identifier: Apache-2.0
# What is done for good is said when standard output takes nothing, full or closed; files that are
# opened meanwhile do not get its place.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
remember
expect 1 organ key generate publisher >/dev/full
expect 1 organ extract model --layers 2:5 --name tiny/organ --organ-version 1.0.0 --out organ >/dev/full
expect 1 organ sign organ --key publisher.key >&-
expect 1 organ registry init --key publisher.pub >/dev/full
expect 1 organ publish organ >&-
expect 1 organ registry rebuild --json >/dev/full
expect 1 organ install tiny/organ:1.0.0 --into model --at 0 >/dev/full
expect 1 organ install --continue --into model >&-
expect 1 organ install organ --into model --at 1 >&-
expect 1 organ uninstall model >/dev/full
expect 1 organ uninstall model --json >&-
expect 1 organ list >/dev/full
unchanged
organ install organ --into model --at 0 --allow-unsigned --progress >/dev/null 2>&-
organ uninstall model >/dev/null 2>&- <&-
unchanged
organ verify --all >/dev/null
