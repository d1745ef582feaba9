# SPDX-License-Identifier: Apache-2.0
"""The include rules and file rules of the README's architecture section, checked by reading.

    layering.py SOURCE_ROOT            check the tree, one `file:line: reason` per finding
    layering.py --self-test            plant one violation of each kind and expect it to be found
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# module -> modules that it may include; the order of the build.
MODULES = {
    "format/base": {"format/base"},
    "format": {"format/base", "format"},
    "registry": {"format/base", "format", "registry"},
    "transplant": {"format/base", "format", "transplant"},
    "train": {"format/base", "format", "train"},
    "cli": {"format/base", "format", "registry", "transplant", "train", "cli"},
    "tests": {"format/base", "format", "registry", "transplant", "train", "cli", "tests"},
}

# Third-party header -> modules whose .cc files may include it. Anything else in angle brackets that
# is not the C or C++ library or the operating system is a finding.
THIRD_PARTY = {
    r"openssl/": {"format/base", "format", "registry", "tests"},
    r"zstd\.h|zdict\.h|zstd_errors\.h": {"format/base", "format", "registry", "tests"},
    r"sqlite3\.h": {"registry", "tests"},
    r"curl/": {"registry", "tests"},
    r"archive(_entry)?\.h": {"registry", "tests"},
    r"CLI/": {"cli", "train", "tests"},
    r"pcre2\.h": {"train", "tests"},
    r"unicode/": {"train", "tests"},
    r"(torch|ATen|c10|caffe2)/": {"train", "tests"},
    r"fmt/": set(MODULES),
    r"nlohmann/": set(MODULES),
    r"doctest/": {"tests"},
    r"valijson/": {"tests"},
    r"cuda": {"train"},
}
IN_HEADERS = re.compile(r"nlohmann/json_fwd\.hpp|fmt/core\.h")  # cheap, and ours to show
# format/manifest.h keeps unknown fields as JSON values, so it needs the whole type.
HEADER_EXCEPTIONS = {("format/manifest.h", "nlohmann/json.hpp")}

SYSTEM = re.compile(r"[a-z_0-9]+|(sys|linux|netinet|arpa)/[a-z_0-9]+\.h|"
                    r"(assert|ctype|dirent|dlfcn|errno|fcntl|fenv|float|grp|immintrin|inttypes|"
                    r"limits|locale|malloc|math|mntent|poll|pthread|pwd|sched|signal|spawn|stdarg|"
                    r"stddef|stdint|stdio|stdlib|string|strings|termios|time|unistd|utime|cpuid|x86intrin)\.h")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
SOURCE_SUFFIXES = {".cc", ".h", ".cu", ".cuh"}
SCRIPT_SUFFIXES = {".py", ".sh", ".build", ".sql"}
MAX_LINES = 500


def module_of(path):
    """The longest module name that is a prefix of `path`, else None."""
    parts = Path(path).parts
    for length in (2, 1):
        name = "/".join(parts[:length])
        if len(parts) > length and name in MODULES:
            return name
    return None


def check_quoted(path, module, target, root):
    target_module = module_of(target)
    if target_module is None:
        return f"include \"{target}\" does not name its module"
    if not (root / target).is_file() and not target.endswith("_sql.h"):
        return f"include \"{target}\": no such file"
    if target_module not in MODULES[module]:
        return f"{module}/ may not include {target_module}/ (\"{target}\")"
    if "internal" in Path(target).parts and module not in ("tests", target_module):
        return f"\"{target}\" is internal to {target_module}/"
    return None


def check_angled(path, module, target):
    for pattern, allowed in THIRD_PARTY.items():
        if not re.match(pattern, target):
            continue
        if module not in allowed:
            return f"<{target}> is not for {module}/"
        header = path.endswith((".h", ".cuh"))
        open_header = module == "tests" or path.startswith("train/internal/") \
            or path.startswith("train/kernels/")
        if header and not open_header and not IN_HEADERS.fullmatch(target) \
                and (path, target) not in HEADER_EXCEPTIONS:
            return f"<{target}> belongs into a .cc file, not into a header"
        return None
    if not SYSTEM.fullmatch(target):
        return f"<{target}> is no known system or third-party header"
    return None


def check_includes(path, lines, root):
    module = module_of(path)
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match or module is None:
            continue
        quoted = match.group(1) == '"'
        reason = check_quoted(path, module, match.group(2), root) if quoted \
            else check_angled(path, module, match.group(2))
        if reason:
            yield number, reason


def check_lines(path, lines):
    head = "".join(lines[:2])
    if "SPDX-License-Identifier: Apache-2.0" not in head:
        yield 1, "the SPDX line is missing"
    if len(lines) > MAX_LINES:
        yield MAX_LINES, f"{len(lines)} lines; at most {MAX_LINES}"
    for number, line in enumerate(lines, 1):
        if UNFINISHED.search(line) and not path.endswith("layering.py"):
            yield number, "unfinished work has no place here"


def check_file(path, root):
    lines = (root / path).read_text(encoding="utf-8").splitlines(keepends=True)
    if Path(path).suffix in SOURCE_SUFFIXES:
        yield from check_includes(path, lines, root)
    yield from check_lines(path, lines)


def tracked_files(root):
    if (root / ".git").exists():
        listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"],
                                check=True, capture_output=True, text=True).stdout.splitlines()
    else:  # a source archive
        listed = [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()
                  and not p.relative_to(root).parts[0].startswith("build")]
    wanted = SOURCE_SUFFIXES | SCRIPT_SUFFIXES
    return [f for f in listed if (Path(f).suffix in wanted or f in ("dev", ".ci/run"))
            and "tests/data/" not in f and (root / f).is_file()]


def findings(root):
    return [f"{path}:{line}: {reason}" for path in sorted(tracked_files(root))
            for line, reason in check_file(path, root)]


PLANTED = {
    "format/base/up.h": ('#include "format/tensor.h"', "may not include"),
    "registry/side.cc": ('#include "transplant/plan.h"', "may not include"),
    "registry/bare.cc": ('#include "plan.h"', "does not name its module"),
    "cli/inside.cc": ('#include "train/internal/model.h"', "is internal to"),
    "format/db.cc": ("#include <sqlite3.h>", "is not for format/"),
    "registry/db.h": ("#include <sqlite3.h>", "belongs into a .cc file"),
    "transplant/torch.cc": ("#include <torch/torch.h>", "is not for transplant/"),
    "train/torch.h": ("#include <ATen/ATen.h>", "belongs into a .cc file"),
    "cli/other.cc": ("#include <boost/any.hpp>", "no known"),
    "cli/later.cc": ("// TO" "DO: later", "unfinished"),
    "cli/long.cc": ("\n" * 500, "lines; at most"),
}
INNOCENT = {
    "format/tensor.h": "#include <vector>\n#include <nlohmann/json_fwd.hpp>\n",
    "transplant/plan.h": '#include "format/tensor.h"\n',
    "train/internal/model.h": "#include <ATen/ATen.h>\n",
    "cli/good.cc": '#include <sys/stat.h>\n#include <CLI/CLI.hpp>\n#include "transplant/plan.h"\n',
}


def self_test():
    spdx = "// SPDX-License-Identifier: Apache-2.0\n"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        planted = {p: spdx + text + "\n" for p, (text, _) in PLANTED.items()}
        planted |= {p: spdx + text for p, text in INNOCENT.items()}
        planted["cli/unlicensed.cc"] = "\n"
        for path, text in planted.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        found = findings(root)
    expected = {path: reason for path, (_, reason) in PLANTED.items()}
    expected["cli/unlicensed.cc"] = "SPDX"
    missed = [p for p, reason in expected.items()
              if not any(f.startswith(p + ":") and reason in f for f in found)]
    invented = [f for f in found if f.split(":")[0] not in expected]
    for line in [f"missed: {p}" for p in missed] + [f"invented: {f}" for f in invented]:
        print(line)
    return 1 if missed or invented else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    found = findings(Path(sys.argv[1]).resolve())
    print("\n".join(found) or "the layers hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
