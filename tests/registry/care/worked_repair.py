# SPDX-License-Identifier: Apache-2.0
"""Runs the shell lines of "A repair, step by step" of schemas/registry.md, and asks what came of them.

    worked_repair.py ORGAN_PROGRAM SOURCE_ROOT
"""
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path


def script_of(text):
    section = re.search(r"^### A repair, step by step$(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```sh\n(.*?)^```$", section.group(1), re.MULTILINE | re.DOTALL)
    if len(blocks) < 4:
        raise SystemExit("schemas/registry.md: the repair has fewer than four ```sh blocks")
    return "set -eux\n" + "\n".join(blocks)


def main():
    organ, source = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    script = script_of((source / "schemas/registry.md").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="organ-repair-") as folder:
        (Path(folder) / "tests").symlink_to(source / "tests")
        work, home = Path(folder) / "work", Path(folder) / "home"
        work.mkdir()
        home.mkdir()
        environment = os.environ | {"PATH": f"{organ.parent}:{os.environ['PATH']}", "HOME": str(home),
                                    "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(["sh", "-c", script], cwd=work, env=environment, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        print(done.stdout)
        print(done.stderr, file=sys.stderr)
        if done.returncode != 0:
            return done.returncode
        stats = json.loads(subprocess.run([organ, "registry", "stats", "--registry", work / "registry", "--json"],
                                          env=environment, check=True, capture_output=True, text=True).stdout)
        assert stats["damaged"] == 0 and stats["orphans"] == 0, stats
        assert "damaged" in done.stdout and "mended" in done.stdout, "the repair says nothing"
        removed = list((work / "registry/organ/quarantine/removed").iterdir())
        assert len(removed) == 1 and removed[0].read_text() == "left by a publisher that died\n"
    print("1 cases passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
