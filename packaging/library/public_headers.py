# SPDX-License-Identifier: Apache-2.0
"""Writes the headers that a host gets.

    public_headers.py SOURCE_ROOT OUT_FOLDER LIST...

Of each line of a LIST: format/base/error.h becomes OUT_FOLDER/organ/format/base/error.h, its own
includes written as <organ/format/base/...>, so that nothing called format/ or registry/ comes to lie
in a host's include path. What OUT_FOLDER/organ held before is gone. A header that includes one of
ours that no LIST has is an error.
"""
import re
import shutil
import sys
from pathlib import Path

INCLUDE = re.compile(r'^(\s*#\s*include\s*)"([^"]+)"', re.M)


def listed(files):
    lines = [line.strip() for file in files
             for line in file.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def rewritten(text, header, installed):
    def replace(match):
        if match.group(2) not in installed:
            raise SystemExit(f'{header}: includes "{match.group(2)}", which is not installed')
        return f"{match.group(1)}<organ/{match.group(2)}>"

    return INCLUDE.sub(replace, text)


def write_headers(root, out, headers):
    for header in headers:
        text = rewritten((root / header).read_text(encoding="utf-8"), header, set(headers))
        target = out / "organ" / header
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(0o644)


def main():
    root, out = Path(sys.argv[1]), Path(sys.argv[2])
    shutil.rmtree(out / "organ", ignore_errors=True)
    write_headers(root, out, listed([Path(a) for a in sys.argv[3:]]))


if __name__ == "__main__":
    main()
