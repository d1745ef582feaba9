# SPDX-License-Identifier: Apache-2.0
"""./dev takes the options of its command and no other's, and its help fits a terminal.

    dev_options.py SOURCE_ROOT
"""
import subprocess
import sys
from pathlib import Path

DEV = Path(sys.argv[1]).resolve() / "dev"
REFUSED = [("bulid --no-train", "unknown command 'bulid'"), ("demo --full", "demo takes no --full"),
           ("demo --no-train", "demo takes no --no-train"), ("build --cuda", "build takes no --cuda"),
           ("lint --filter x", "lint takes no --filter"), ("test --filter", "--filter needs a text"),
           ("build --quick", "unknown option '--quick'"), ("demo now", "demo takes no 'now'")]


def main():
    findings = []
    for words, said in REFUSED:
        done = subprocess.run([DEV, *words.split()], capture_output=True, text=True, check=False)
        if done.returncode != 1 or said not in done.stderr or done.stdout:
            findings.append(f"./dev {words}: exit {done.returncode}: {done.stdout}{done.stderr}")
    text = subprocess.run([DEV, "help"], check=True, capture_output=True, text=True).stdout
    findings += [f"./dev help is wider than 80 columns: {line}" for line in text.splitlines() if len(line) > 80]
    print(*findings, f"{len(REFUSED) + 1} cases, {len(findings)} findings", sep="\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
