# SPDX-License-Identifier: Apache-2.0
"""Holds that a shared library shows what its headers declare and nothing else, of every room and header.

    exports.py LIBRARY SOURCE_ROOT LIST...
"""
import re
import subprocess
import sys
from pathlib import Path

ROOMS = {"format", "registry", "transplant", "train"}
ABOUT = re.compile(r"^(typeinfo for|typeinfo name for|vtable for|VTT for|"
                   r"(non-)?virtual thunk to) ")
COMMENT = re.compile(r"//.*")
HIDDEN = re.compile(r"\b(Impl|internal|detail)\b")


def shown(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", "-C", library], check=True, text=True,
                           capture_output=True).stdout.splitlines()
    for line in lines:
        _, kind, name = line.split(" ", 2)
        if kind != "A":
            yield name


def first_name(symbol):
    """organ::format::Digest::parse(…) -> Digest"""
    name = re.sub(r"[(<\[].*", "", ABOUT.sub("", symbol).split("@")[0])
    parts = [part for part in name.split("::") if part not in ROOMS]
    return parts[1] if len(parts) > 1 and parts[0] == "organ" else None


def findings(library, words):
    symbols = list(shown(library))
    if len(symbols) < 100:
        yield f"{library}: shows {len(symbols)} symbols; expected the whole interface"
    for symbol in symbols:
        name = first_name(symbol)
        if name is None:
            yield f"not ours: {symbol}"
        elif HIDDEN.search(symbol.split("(")[0]):
            yield f"internal: {symbol}"
        elif name not in words:
            yield f"in no public header: {symbol}"


SHOWN, END = "#pragma GCC visibility push(default)", "#pragma GCC visibility pop"


# Other than a name that is made known.
DECLARED = re.compile(r"^((class|struct|enum)\b[^;\n]*$|[a-z].*\()", re.M)


def hidden_headers(texts):
    """What a header declares outside of the two lines is no export: a host meets it when it links."""
    for header, text in texts.items():
        before, start, rest = text.partition(SHOWN)
        inside, end, after = rest.partition(END)
        if not start or not end or DECLARED.search(before + after):
            yield f"{header}: declares something outside of {SHOWN} and {END}"


def silent_rooms(library, headers):
    rooms = {header.split("/")[0] for header in headers if header.count("/")}
    symbols = list(shown(library))
    for room in sorted(rooms & ROOMS):
        if sum(f"organ::{room}::" in symbol for symbol in symbols) < 20:
            yield f"{library}: shows less than 20 symbols of organ::{room}"


def main():
    library, source = sys.argv[1], Path(sys.argv[2])
    headers = [h for file in sys.argv[3:] for h in Path(file).read_text().splitlines()
               if h and not h.startswith("#")]
    texts = {header: (source / header).read_text(encoding="utf-8") for header in headers}
    words = {word for text in texts.values() for word in re.findall(r"\w+", COMMENT.sub("", text))}
    found = sorted({*findings(library, words | {"library_version"}), *hidden_headers(texts),
                    *silent_rooms(library, headers)})
    print(*found[:200], sep="\n")
    print(f"{len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
