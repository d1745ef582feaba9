# SPDX-License-Identifier: Apache-2.0
"""bad_safetensors.py ORGAN PROBE: every malformed file of the table is refused by `organ inspect`
with exit 4, one line that names the file, nothing on stdout, and little memory."""
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

MOST_KIB = 64 * 1024  # reliability contract: 64 MiB whatever the file claims


def main():
    organ, probe = (os.path.abspath(path) for path in sys.argv[1:3])
    failures = []
    with tempfile.TemporaryDirectory(prefix="organ-bad.") as folder:
        subprocess.run([probe, "write", folder], check=True)
        paths = sorted(Path(folder).iterdir())
        before = [path.read_bytes() for path in paths]
        for path in paths:
            done = subprocess.run([organ, "inspect", str(path)], capture_output=True, timeout=20)
            lines = [line for line in done.stderr.decode().split("\n")
                     if line and not line.startswith("hint: ")]
            good = (done.returncode == 4 and not done.stdout and len(lines) == 1
                    and path.name in lines[0] and lines[0].isprintable() and len(lines[0]) < 1200)
            if not good:
                failures.append(f"{path.name}: exit {done.returncode}, {done.stderr[:300]!r}")
        if sorted(Path(folder).iterdir()) != paths or [p.read_bytes() for p in paths] != before:
            failures.append("the folder changed")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if peak > MOST_KIB and "--sanitized" not in sys.argv:  # a sanitizer's own memory is no claim of ours
        failures.append(f"peak memory was {peak} KiB, the limit is {MOST_KIB}")
    print(f"{len(paths)} files, peak {peak} KiB")
    print("\n".join(failures))
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
