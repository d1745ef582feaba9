# SPDX-License-Identifier: Apache-2.0
"""Finds code that stands in two places, words that stand twice in a row, rows and bullets of README and
CHANGELOG that a merge left twice, and tests that the README names but nobody wrote.

    duplicates.py SOURCE_ROOT

Code: the same 12 lines (white space, includes, comments and lone brackets aside) in two places of
the C++ sources outside tests/. Words: "the the" in comments and documents.
"""
import re
import subprocess
import sys
from pathlib import Path

WINDOW = 12
DULL = re.compile(r"^(#include.*|//.*|namespace .*|using .*|[{}()\[\];,]*)$")
# "had had" and "that that" can be right; numbers and table rules repeat by nature.
DOUBLED = re.compile(r"\b(the|a|an|of|to|in|is|are|and|or|for|with|by|on|as|it|be|not|from)\s+\1\b",
                     re.IGNORECASE)
WORD_SUFFIXES = {".md", ".cc", ".h", ".py", ".sh", ".build"}


def tracked(root):
    command = ["git", "-C", root, "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [f for f in listed if (root / f).is_file() and "tests/data/" not in f]


def telling_lines(text):
    stripped = ((number, " ".join(line.split())) for number, line in enumerate(text.splitlines(), 1))
    return [(number, line) for number, line in stripped if not DULL.match(line)]


def duplicate_code(root, files):
    seen, last = {}, {}
    for path in files:
        if Path(path).suffix not in (".cc", ".h") or path.startswith("tests/"):
            continue
        lines = telling_lines((root / path).read_text(encoding="utf-8"))
        for start in range(len(lines) - WINDOW + 1):
            key = tuple(line for _, line in lines[start:start + WINDOW])
            first = seen.setdefault(key, (path, lines[start][0]))
            here = (path, lines[start][0])
            # One report per run of equal windows, not one per line of it.
            if first != here and last.get((first[0], path)) != start - 1:
                yield f"{here[0]}:{here[1]}: the same {WINDOW} lines as {first[0]}:{first[1]}"
            if first != here:
                last[(first[0], path)] = start


def comment_text(path, line):
    if path.endswith(".md"):
        return line
    marker = "//" if Path(path).suffix in (".cc", ".h") else "#"
    return line.partition(marker)[2]


def doubled_words(root, files):
    for path in files:
        if Path(path).suffix not in WORD_SUFFIXES:
            continue
        lines = (root / path).read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            match = DOUBLED.search(comment_text(path, line))
            if match:
                yield f"{path}:{number}: doubled word: '{match.group()}'"


def doubled_rows(root):
    """A row begins like another one of its table, or a bullet like another one of the file."""
    for path in ("README.md", "CHANGELOG.md"):
        rows, bullets = set(), set()
        for number, line in enumerate((root / path).read_text(encoding="utf-8").splitlines(), 1):
            if not line.startswith("|") or line.startswith("|-"):  # what is above it is a heading
                rows = set()
            cell = re.split(r"(?<!\\)\|", line)[1].strip() if line.startswith("|") else ""
            bullet = line if line.startswith("- ") else ""
            if (cell and cell in rows) or (bullet and bullet in bullets):
                yield f"{path}:{number}: stands there already: '{cell or bullet}'"
            rows.add(cell)
            bullets.add(bullet)


def missing_tests(root):
    for number, line in enumerate((root / "README.md").read_text(encoding="utf-8").splitlines(), 1):
        for path in re.findall(r"`(tests/[\w./]+)`", line):
            if not (root / path).exists():
                yield f"README.md:{number}: '{path}' does not exist"


def main():
    root = Path(sys.argv[1]).resolve()
    if not (root / ".git").exists():
        print("not a git checkout")
        return 77
    files = tracked(root)
    found = [*duplicate_code(root, files), *doubled_words(root, files), *doubled_rows(root),
             *missing_tests(root)]
    print("\n".join(found) or "nothing stands twice, nothing is missing")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
