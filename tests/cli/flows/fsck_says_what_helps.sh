# SPDX-License-Identifier: Apache-2.0
# What fsck advises mends what it found.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null 2>&1
organ publish organ tiny/organ:1.1.0 --key publisher.key >/dev/null 2>&1
organ registry index >/dev/null 2>&1
cp -r registry mirror
damage() {
  chmod u+w "$1"
  flip "$1" "${2-30}"
}
object() { echo "registry/blobs/sha256/$(sha256sum "$1" | cut -d ' ' -f 1)"; }
well() { organ fsck -q >/dev/null; }
advised() { expect 4 organ fsck >/dev/null 2>advice; }
not_advised() { if grep "$1" advice >&2; then exit 98; fi; }

# An object that the folder has.
damage "$(object organ/layer.01.safetensors)"
advised
grep -q '^organ repair --from SOURCE mends objects, as does publishing the same folder again$' advice
organ publish organ >/dev/null 2>&1
well

# One that nobody can read and publishing stops at; and what the folder does not have.
bundle=$(object organ/model.sig)
mv "$bundle" kept
expect 4 organ inspect tiny/organ:1.0.0 >seen 2>/dev/null
grep -q 'a signature that cannot be read: ' seen
mkdir "$bundle"
advised
grep -q '^organ repair --from SOURCE mends objects$' advice
rmdir "$bundle"
mv kept "$bundle"
well

# Nor does it put a folder away, even in the place of what the folder has.
layer=$(object organ/layer.01.safetensors)
mv "$layer" kept
mkdir "$layer"
advised
grep -q '^organ repair --from SOURCE mends objects$' advice
expect 4 organ publish organ >/dev/null 2>&1
organ repair --from mirror >/dev/null 2>&1
rm -f kept
well

# The registry's own: nothing new comes into a log that is damaged.
damage registry/organ/log $(($(stat -c %s registry/organ/log) - 10))
damage "$(object organ/layer.01.safetensors)"
advised
grep -q 'organ repair --from COPY' advice
grep -q 'that nothing refers to, as far as the log can be read$' advice
not_advised publishing
not_advised 'organ gc'
expect 4 organ publish organ tiny/organ:2.0.0 --key publisher.key >/dev/null 2>&1
organ repair --from mirror >/dev/null 2>&1
well

# Nobody but the log's key signs a checkpoint.
cp registry/organ/checkpoint kept
damage registry/organ/checkpoint 80
advised
grep -q "^the log's checkpoint and key nothing gives back: " advice
not_advised 'organ repair'
if organ repair --from mirror >/dev/null 2>&1; then exit 97; fi
cp kept registry/organ/checkpoint
well

# Its views.
echo 'no database' >registry/organ/catalog.db
advised
grep -q '^views are made anew: organ registry rebuild, ' advice
not_advised publishing
not_advised 'organ repair'
organ registry rebuild >/dev/null 2>&1
well
