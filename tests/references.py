# SPDX-License-Identifier: Apache-2.0
"""Holds that what a comment or a document sends its reader to is there: a schema, a section of the
README, nothing that only the authors have; that a header which a host gets names no header that a
host does not get; and that a number of things is told to people by counted(), which knows of one thing.

    references.py SOURCE_ROOT          check the tree, one `file:line: reason` per finding
    references.py --self-test          plant one violation of each kind and expect it to be found
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SUFFIXES = {".cc", ".h", ".cu", ".py", ".sh", ".build", ".sql", ".md", ".json", ".txt", ".toml"}
ELSEWHERE = re.compile(r"\breference/\w+\.md|\breference \d+\.\d|\bDESIGN\b|\bissue #?\d+|"
                       r"\breview/\w+\.md")
SCHEMA = re.compile(r"(?<![\w/.-])schemas/[\w.-]+\.(?:md|json)\b")
SECTION = re.compile(r"\bREADME, ([A-Z][\w ,'-]*[\w'])")
HEADER = re.compile(r"(?<![\w/.-])(?:\w+/)*\w+\.h\b")
NOUN = (r"(?:entries|versions|objects|files|tensors|layers|signatures|bundles|steps|keys|findings|rows|tokens|documents|"
        r"organs|links|shards|windows|witnesses|persons|attestations|blobs|members|digests|records|bytes|hashes|"
        r"resamples|threads|devices|things|copies|views|targets|words|changes|days)\b")
# Limits are never one.
COUNT = re.compile(
    r"(?<!most )(?<!of )(?<!of the )(?<!than )(?<!up to )(?<!1 to )(?<!least )(?<!within )(?<!than the )"
    r"(?<!most about )(?<!finite )\{\} (?:(?!has|with|given|name)[a-z]+ )?"
    + NOUN + r"(?! \{\} to)"
    r"(?!.{0,60}(?:\.text\(\)|most|limit|a reader takes|too many|more than|could be longer|1 to))")
SHARE = re.compile(r"(?:\{\}|none) of (?:the )?\{\} (?:[a-z]+ )?" + NOUN)
PROGRAM = ("format/", "registry/", "transplant/", "train/", "cli/")
HEADING = re.compile(r"^#+ (.+)$", re.M)


def listed(root):
    if (root / ".git").exists():
        names = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"],
                               check=True, capture_output=True, text=True).stdout.splitlines()
    else:
        names = [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()]
    return sorted(n for n in names if Path(n).suffix in SUFFIXES and "tests/data/" not in n
                  and not n.startswith("schemas/examples/") and (root / n).is_file())


def check_line(root, headings, line):
    match = ELSEWHERE.search(line)
    if match:
        yield f"'{match.group()}' is not in the project: say it here, or cite a public source"
    for schema in SCHEMA.findall(line):
        if not (root / schema).is_file():
            yield f"{schema} does not exist"
    for section in SECTION.findall(line):
        if not any(section.startswith(heading) for heading in headings):
            yield f"the README has no section '{section}'"


def count_findings(name, lines):
    if not name.startswith(PROGRAM) or Path(name).suffix not in {".cc", ".h", ".cu"}:
        return
    for number, line in enumerate(lines, 1):
        if COUNT.search(line) or SHARE.search(line):
            yield f"{name}:{number}: say the number with counted(), or one would be many"


def installed_headers(root):
    """What packaging/library/ lists, one a line."""
    lines = [line.strip() for file in sorted((root / "packaging" / "library").glob("*headers.txt"))
             for line in file.read_text(encoding="utf-8").splitlines()]
    return {line for line in lines if line and not line.startswith("#")}


def header_findings(installed, name, lines):
    """Includes are for the compiler and for tests/library/; here are the words of comments."""
    if name not in installed:
        return
    for number, line in enumerate(lines, 1):
        for header in HEADER.findall("" if line.lstrip().startswith("#") else line):
            if not any(one == header or one.endswith("/" + header) for one in installed):
                yield f"{name}:{number}: {header} is not installed with this header"


def findings(root):
    installed = installed_headers(root)
    readme = root / "README.md"
    headings = HEADING.findall(readme.read_text(encoding="utf-8")) if readme.is_file() else []
    found = []
    for name in listed(root):
        if name == "tests/references.py":
            continue
        lines = (root / name).read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            found += [f"{name}:{number}: {reason}" for reason in check_line(root, headings, line)]
        found += header_findings(installed, name, lines)
        found += count_findings(name, lines)
    return found


PLANTED = {
    "format/a.h": ("// Formulas: reference/training.md 3.", "is not in the project"),
    "format/b.h": ("// The folder (DESIGN 4).", "is not in the project"),
    "format/c.h": ("// Why: issue 10.", "is not in the project"),
    "format/d.h": ("// Defined in schemas/nothing.md.", "does not exist"),
    "format/e.h": ("// Floors: README, Engine room", "has no section"),
    "cli/o.cc": ('x("{} of {} keys must have signed", n);', "counted()"),
    "cli/p.cc": ('x("none of the {} given keys", n);', "counted()"),
    "cli/n.cc": ('x("{} versions, {} layers of {}", n);', "counted()"),
    "format/h.h": ("// All or nothing (see recovery.h).", "is not installed"),
    "format/i.h": ("int f();  // as format/inner.h says", "is not installed"),
}
INNOCENT = {
    "cli/m.cc": 'x("at most {} bytes; {} of {}; has {} bytes, at most {}", 1, counted(n, "key"));',
    "README.md": "# organ\n\n## Architecture",
    "schemas/organ.v1.md": "# organ.json",
    "format/f.h": "// schemas/organ.v1.md says so (README, Architecture).",
    "packaging/library/headers.txt": "# a list\nformat/h.h\nformat/i.h\nformat/j.h\nformat/k.h",
    "packaging/library/train_headers.txt": "train/l.h",
    "format/j.h": "#include \"format/inner.h\"\n// See k.h, train/l.h and <train/l.h>.",
    "format/k.h": "",
    "format/inner.h": "// Says what m.h says, to those who build it.",
    "format/g.h": "// Rules: the reference crate's. An issue of taste.",
}


def self_test():
    with tempfile.TemporaryDirectory(prefix="organ-references-") as temporary:
        root = Path(temporary)
        for path, text in (INNOCENT | {p: t for p, (t, _) in PLANTED.items()}).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text + "\n", encoding="utf-8")
        found = findings(root)
    problems = [f"{path}: '{reason}' was not found" for path, (_, reason) in PLANTED.items()
                if not any(f.startswith(path + ":") and reason in f for f in found)]
    problems += [f"innocent, but found: {f}" for f in found if f.split(":")[0] in INNOCENT]
    print(*problems, sep="\n")
    print(f"{len(PLANTED)} planted, {len(problems)} problems")
    return 1 if problems else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    found = findings(Path(sys.argv[1]).resolve())
    print(*found, sep="\n")
    print(f"{len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
