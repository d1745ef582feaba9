# SPDX-License-Identifier: Apache-2.0
"""Runs the shell lines of the README's five-minute tour in a folder that looks like a checkout.

    readme_tour.py ORGAN_PROGRAM SOURCE_ROOT
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path


def tour_script(readme):
    section = re.search(r"^## A five-minute tour$(.*?)^## ", readme, re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```sh\n(.*?)^```$", section.group(1), re.MULTILINE | re.DOTALL)
    if len(blocks) < 3:
        raise SystemExit("README.md: the tour has fewer than three ```sh blocks")
    return "set -eux\n" + "\n".join(blocks)


def main():
    organ, source = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    script = tour_script((source / "README.md").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="organ-tour-") as folder:
        (Path(folder) / "tests").symlink_to(source / "tests")
        home = Path(folder) / "home"
        home.mkdir()
        environment = os.environ | {"PATH": f"{organ.parent}:{os.environ['PATH']}",
                                    "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(["sh", "-c", script], cwd=folder, env=environment, check=False,
                              stdin=subprocess.DEVNULL, timeout=300).returncode


if __name__ == "__main__":
    sys.exit(main())
