# SPDX-License-Identifier: Apache-2.0
# A writer with a closed umask shuts nobody out of a registry that all may read.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
umask 022
make_registry
organ publish organ >/dev/null
(
  umask 077
  organ publish organ tiny/organ:1.1.0 --key publisher.key >/dev/null
  organ yank tiny/organ:1.0.0 --reason 'a draft' >/dev/null
  organ registry index >/dev/null
  organ registry rebuild >/dev/null 2>&1
  organ gc >/dev/null 2>&1
)
# Locks and folders too.
test "$(find registry ! -perm -o=r)" = registry/organ/log.key
test -z "$(find registry -type d ! -perm -o=rx)"
# One that its owner alone may list stays private.
cp -r registry closed
chmod 700 closed closed/organ closed/blobs closed/blobs/sha256
(
  umask 077
  organ publish organ tiny/organ:1.2.0 --key publisher.key --registry closed >/dev/null 2>&1
)
test "$(stat -c %a closed/organ/checkpoint)" = 600
