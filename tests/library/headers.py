# SPDX-License-Identifier: Apache-2.0
"""Holds what the installed headers promise: each compiles alone with the compiler and every warning,
sees nothing but its like and the C++ and C libraries, and declares no name that a host may want.

    headers.py COMPILER SOURCE_ROOT VERSION_HEADER LIST...      check the headers of the LISTs
    headers.py --self-test SOURCE_ROOT                          plant one violation of each kind

Exits 77 where the compiler is not installed.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

WARNINGS = ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror", "-fsyntax-only"]
# Names that a host's own functions have; as a variable of the same scope each clashes with ours.
COMMON_NAMES = ("check", "fail", "quote", "fail_errno", "escape_text", "checked_add", "checked_mul",
                "read_file", "write_file", "write_all", "read_at", "list_folder", "open", "close",
                "parse", "split", "join", "format_text", "log", "trim", "version", "main", "run")
SCOPES = ("organ", "organ::format", "organ::registry", "organ::transplant", "organ::train")
SYSTEM = re.compile(r"^(/usr/include/c\+\+/|/usr/lib/gcc/|/usr/lib/llvm|/usr/lib/clang/|"
                    r"/usr/include/x86_64-linux-gnu/|/usr/include/aarch64-linux-gnu/|"
                    r"/usr/include/(asm-generic|linux)/|"
                    r"/usr/include/(?!zstd|zdict|sqlite|pcre|archive|zlib|zconf)[a-z_0-9-]+\.h$)")


THROWS = re.compile(r"^ *//.*\b[Tt]hrows\b", re.M)


def compile_text(compiler, folder, text, *flags):
    return subprocess.run([compiler, *WARNINGS, *flags, "-I", folder, "-x", "c++", "-"], input=text,
                          capture_output=True, text=True, check=False)


def own_errors(result):
    return "\n".join(line for line in result.stderr.splitlines() if "error" in line)[:600]


def strangers(folder, header, dependencies):
    for seen in dependencies.replace("\\\n", " ").split()[1:]:
        path = os.path.normpath(seen)
        if seen != "-" and not path.startswith(str(folder)) and not SYSTEM.match(path):
            yield f"{header}: sees {path}"


def check_alone(compiler, folder, header):
    listed = folder / f"{header.replace('/', '+')}.{compiler}.d"
    text = f"#include <organ/{header}>\nint main() {{}}\n"
    if THROWS.search((folder / "organ" / header).read_text(encoding="utf-8")):
        text += "extern organ::Error& thrown;\n"  # whoever includes this one must be able to catch it
    result = compile_text(compiler, folder, text, "-MD", "-MF", listed)
    if result.returncode != 0:
        return [f"{header}: does not compile alone with {compiler}: {own_errors(result)}"]
    return list(strangers(folder, header, listed.read_text()))


def check_names(folder, headers):
    includes = "".join(f"#include <organ/{h}>\n" for h in headers)
    names = "".join(f"extern int {name};\n" for name in COMMON_NAMES)
    scopes = "".join(f"namespace {scope} {{\n{names}}}\n" for scope in SCOPES)
    result = compile_text("g++", folder, includes + scopes)
    if result.returncode != 0:
        yield f"a public header takes a common name: {own_errors(result)}"


def check_declared(source, headers):
    """A class of ours that a host can name, in a parameter or a result, is one that a host gets."""
    texts = {h: (source / h).read_text(encoding="utf-8") for h in headers}
    for header, text in texts.items():
        for name in re.findall(r"^(?:class|struct) ([A-Z]\w*);", text, re.M):
            defined = re.compile(rf"^(?:class|struct) {name}\b[^;{{]*{{", re.M)
            if re.search(rf"\b{name}[&*] ", text) and not any(map(defined.search, texts.values())):
                yield f"{header}: {name} is declared, but no installed header defines it"


def public(line):
    return line and not line.startswith("#")


def findings(compiler, source, version_header, lists):
    headers = [h for file in lists for h in Path(file).read_text().splitlines() if public(h)]
    with tempfile.TemporaryDirectory(prefix="organ-headers-") as temporary:
        folder = Path(temporary)
        made = subprocess.run([sys.executable, source / "packaging/library/public_headers.py", source,
                               folder, *lists], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            return [made.stderr.strip()]
        shutil.copy(version_header, folder / "organ/version.h")
        every = [*headers, "version.h"]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = [pool.submit(check_alone, compiler, folder, header)
                    for header in every]
            found = [line for job in jobs for line in job.result()]
        found += check_declared(source, headers)
        return found if found else list(check_names(folder, every))


PLANTED = {
    "format/base/thrower.h": ("// Throws invalid_argument.\nvoid act();", "does not compile alone"),
    "format/base/leak.h": ('#include "format/base/fail.h"', "which is not installed"),
    "format/base/other.h": ("#include <openssl/evp.h>", "sees /usr/include/openssl"),
    "format/base/flat.h": ("#include <sqlite3.h>", "sees /usr/include/sqlite3.h"),
    "format/base/bare.h": ("std::string text();", "does not compile alone"),
    "format/base/strange.h": ("class Hidden;\nvoid show(const Hidden& it);", "no installed header defines"),
    "format/base/taken.h": ("namespace organ { void check(bool); }", "takes a common name"),
}


def self_test(source):
    problems = []
    for header, (text, reason) in PLANTED.items():
        with tempfile.TemporaryDirectory(prefix="organ-planted-") as temporary:
            root = Path(temporary)
            shutil.copytree(source / "packaging", root / "packaging")
            (root / header).parent.mkdir(parents=True)
            (root / header).write_text(f"#pragma once\n{text}\n")
            (root / "list.txt").write_text(f"# planted\n{header}\n")
            (root / "version.h").write_text("#pragma once\n")
            found = findings("g++", root, root / "version.h", [root / "list.txt"])
            if not any(reason in line for line in found):
                problems.append(f"{header}: '{reason}' was not found in {found}")
    print(*problems, sep="\n")
    print(f"{len(PLANTED)} planted, {len(problems)} problems")
    return 1 if problems else 0


def main():
    if sys.argv[1] == "--self-test":
        return self_test(Path(sys.argv[2]))
    compiler, source, version_header, *lists = sys.argv[1], *map(Path, sys.argv[2:])
    if not shutil.which(compiler):
        print(f"skipped: {compiler} is not installed")
        return 77
    found = findings(compiler, source, version_header, lists)
    print(*found, sep="\n")
    print(f"{len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
