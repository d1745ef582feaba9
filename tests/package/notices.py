#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the packages say of others and of themselves, by reading: each library that the build asks for
is either loaded as a file of its own or has its notice in every package; and the wheel's long
description shows and links nothing that only the repository has.

    notices.py SOURCE_ROOT             check the tree, one finding a line
    notices.py --self-test             plant one violation of each kind and expect it to be found
"""
import re
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

NOTICES = "packaging/THIRD-PARTY-NOTICES.txt"
# Of a dependency of meson.build: the holder whose code comes out of headers into our objects.
COMPILED_IN = {"nlohmann_json": "Niels Lohmann", "CLI11": "University of Cincinnati",
               "fmt": "Victor Zverovich"}
LOADED = {"threads", "libcrypto", "libcurl", "sqlite3", "libpcre2-8", "icu-uc", "openmp"}
FOR_TESTS = {"doctest"}
DEPENDENCY = re.compile(r"\bdependency\('([\w.-]+)'")
# Headers of LibTorch are compiled into organ-train, which no Debian package has.
TORCH_HOLDER = "Facebook"
# The same texts, as Debian ships them with the headers.
DEBIAN_TEXTS = {"nlohmann-json3-dev": "Expat", "libcli11-dev": "BSD-3-clause"}
LINK = re.compile(r"\]\(\s*([^)\s]+)")


def dependencies(root):
    files = [root / "meson.build", *root.glob("*/meson.build"), *root.glob("*/*/meson.build")]
    return {name for file in files if "tests" not in file.relative_to(root).parts
            for name in DEPENDENCY.findall(file.read_text(encoding="utf-8"))}


def words(text):
    return " ".join(word for line in text.splitlines() for word in line.split() if word != ".")


def debian_text(package, name):
    file = Path("/usr/share/doc") / package / "copyright"
    found = re.search(rf"^License: {name}\n((?: .*\n)+)", file.read_text(encoding="utf-8"), re.M) \
        if file.is_file() else None
    return words(found.group(1)) if found else None


def notice_findings(root):
    texts = {name: (root / name).read_text(encoding="utf-8")
             for name in (NOTICES, "packaging/debian/copyright")}
    for name in sorted(dependencies(root) - LOADED - FOR_TESTS):
        if name not in COMPILED_IN:
            yield f"meson.build: {name} is new: loaded, or compiled in and named in {NOTICES}?"
            continue
        for file, text in texts.items():
            if COMPILED_IN[name] not in text:
                yield f"{file}: no notice of {name} ({COMPILED_IN[name]})"
    if TORCH_HOLDER not in texts[NOTICES]:
        yield f"{NOTICES}: no notice of LibTorch ({TORCH_HOLDER})"
    for package, name in DEBIAN_TEXTS.items():
        expected = debian_text(package, name)
        for file, text in texts.items():
            if expected and expected not in words(text):
                yield f"{file}: the text of {name} is not the one that {package} has"


def package_findings(root):
    with open(root / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    if NOTICES not in project["license-files"]:
        yield f"pyproject.toml: license-files lacks {NOTICES}"
    control = (root / "packaging/debian/control").read_text(encoding="utf-8")
    for package in re.findall(r"^Package: (\S+)", control, re.M):
        docs = root / f"packaging/debian/{package}.docs"
        if not docs.is_file() or NOTICES not in docs.read_text(encoding="utf-8").split():
            yield f"{docs.relative_to(root)}: lacks {NOTICES}"
    for target in LINK.findall((root / project["readme"]).read_text(encoding="utf-8")):
        if not target.startswith(("https://", "#")):
            yield f"{project['readme']}: {target} is nowhere outside the repository"


def findings(root):
    return [*notice_findings(root), *package_findings(root)]


# File, what is replaced, by what, and what must be said of it.
PLANTED = [
    ("meson.build", "dependency('fmt'", "dependency('zlib'", "zlib is new"),
    (NOTICES, "Niels Lohmann", "Nobody", "no notice of nlohmann_json"),
    ("packaging/debian/copyright", "University of Cincinnati", "Nobody", "no notice of CLI11"),
    (NOTICES, "Facebook", "Nobody", "no notice of LibTorch"),
    ("pyproject.toml", f'"{NOTICES}"', '"LICENSE"', "license-files lacks"),
    ("packaging/debian/organ.docs", NOTICES, "", "organ.docs: lacks"),
    ("packaging/python/README.md", "# organ", "# organ\n![page](page.png)", "page.png is nowhere"),
    ("packaging/python/README.md", "# organ", "# organ\n[x](../x.md)", "../x.md is nowhere"),
]


def self_test():
    source = Path(__file__).resolve().parent.parent.parent
    problems = []
    for name, old, new, expected in PLANTED:
        with tempfile.TemporaryDirectory(prefix="organ-notices-") as temporary:
            root = Path(temporary)
            shutil.copytree(source / "packaging", root / "packaging")
            for file in ("meson.build", "pyproject.toml"):
                shutil.copy(source / file, root / file)
            before = findings(root)
            text = (root / name).read_text(encoding="utf-8")
            (root / name).write_text(text.replace(old, new), encoding="utf-8")
            found = [one for one in findings(root) if one not in before]
            if before or old not in text or not any(expected in one for one in found):
                problems.append(f"{name}: expected {expected!r}, found {before} and {found}")
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
