# SPDX-License-Identifier: Apache-2.0
# A publisher's key that is retired, or comes to its end: what the log had entered before stays good,
# what comes after does not count.
. "$ORGAN_SOURCE/tests/cli/flows/prelude"
make_model model
make_signed_organ
make_registry
organ publish organ >/dev/null
organ publish organ tiny/organ:1.1.0 --key publisher.key >/dev/null
organ key generate second >/dev/null 2>&1
organ registry trust second.pub --expires 2199-12-31 | grep -q ', until 2199-12-31T00:00:00Z$'
organ registry retire publisher.pub | grep -q ', retired from entry 5 on$'
organ log | grep -q 'retire sha256:.* from entry 5 on$'
organ verify tiny/organ:1.0.0 >/dev/null
organ verify tiny/organ:1.1.0 >/dev/null
expect 5 organ publish organ tiny/organ:1.2.0 --key publisher.key >/dev/null 2>err
grep -q 'is retired from entry 5 of the log on, and this signature did not come before' err
expect 5 organ verify organ >said
grep -q 'is retired: what it signed counts only where the log entered it before entry 5' said

# It had been stolen before 1.1.0: that needs somebody else's word now.
organ registry retire publisher.pub --from 3 >/dev/null
organ verify tiny/organ:1.0.0 >/dev/null
remember
expect 5 organ install tiny/organ:1.1.0 --into model --at 2 >/dev/null 2>err
grep -q 'is retired from entry 3' err
unchanged
organ publish organ tiny/organ:1.1.0 --key second.key >/dev/null 2>&1
organ verify tiny/organ:1.1.0 >/dev/null

# An end near by is told; nothing takes it away but a later one.
soon=$(python3 -c 'import time; print(time.strftime("%Y-%m-%d", time.gmtime(time.time() + 10 * 86400)))')
organ registry trust second.pub --expires "$soon" >/dev/null
organ verify tiny/organ:1.1.0 >said 2>&1
grep -q "counts until ${soon}T00:00:00Z, for 9 days more\|counts until ${soon}T00:00:00Z, for .* more" said
organ registry trust second.pub 2>err | grep -q ", until ${soon}T00:00:00Z$"
grep -q 'nothing changed' err
organ registry trust second.pub --expires 2020-01-01 >/dev/null 2>err
grep -q "none can: nothing new of these names is accepted" err
expect 5 organ publish organ tiny/organ:1.3.0 --key second.key >/dev/null 2>err
grep -q 'counted until 2020-01-01T00:00:00Z' err
expect 2 organ registry trust second.pub --expires someday 2>/dev/null

# Both keys are at their end: nobody can sign any more.
organ registry trust second.pub --threshold 2 >/dev/null 2>err
grep -q "warning: '\*': 2 keys must sign and none can: nothing new of these names is accepted" err
