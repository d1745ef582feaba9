# SPDX-License-Identifier: Apache-2.0
# What doctor says of the processor is what the kernel says of it.
organ doctor --json >facts.json
python3 - <<'END'
import json, platform
facts = json.load(open("facts.json"))
machine, said = platform.machine(), facts["sha_instructions"]
words = {w for line in open("/proc/cpuinfo") if line.lower().startswith(("flags", "features"))
         for w in line.split()}
expected = {"x86_64": "sha_ni" in words, "aarch64": "sha2" in words}.get(machine)
assert said == expected, f"{said}, /proc/cpuinfo says {expected}"
END
organ doctor | grep -c '^sha-256 .* GB/s on one core'
