# SPDX-License-Identifier: Apache-2.0
"""The headers are installed by meson itself, so that DESTDIR holds wherever includedir is, and
`ninja uninstall` finds them.

    installed.py BUILD_FOLDER LIST...
"""
import json
import os
import subprocess
import sys
from pathlib import Path

MESON = os.environ.get("ORGAN_MESON", "meson").split()


def introspect(build, what):
    return json.loads(subprocess.run([*MESON, "introspect", what, build], check=True,
                                     capture_output=True, text=True).stdout)


def main():
    build, lists = Path(sys.argv[1]).resolve(), [Path(argument) for argument in sys.argv[2:]]
    options = {one["name"]: one["value"] for one in introspect(build, "--buildoptions")}
    made = build / "packaging/library/organ"
    expected = str(Path(options["prefix"], options["includedir"], "organ"))
    findings = []
    if (got := introspect(build, "--installed").get(str(made))) != expected:
        findings.append(f"{made}: goes to {got}, expected {expected}")
    lines = {line for file in lists for line in file.read_text().splitlines()
             if line and not line.startswith("#")}
    there = {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()}
    findings += [f"{name}: listed or made, not both" for name in sorted(lines ^ there)]
    findings += [f"{path}: has mode {path.stat().st_mode & 0o777:o}" for path in made.rglob("*.h")
                 if path.stat().st_mode & 0o777 != 0o644]
    print("\n".join([*findings, f"{len(there)} headers, {len(findings)} findings"]))
    return 1 if findings or not lines else 0


if __name__ == "__main__":
    sys.exit(main())
