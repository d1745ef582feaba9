# SPDX-License-Identifier: Apache-2.0
# Names of files are shown escaped.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
expect 6 organ extract "$(printf 'a\033[31mb\001')" --layers 0:1 --out organ
