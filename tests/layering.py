# SPDX-License-Identifier: Apache-2.0
"""The rules of the README's architecture section, checked by reading: which room may include which,
where third parties may be seen, how large a file and a folder may be, what stands where.

    layering.py SOURCE_ROOT            check the tree, one `file:line: reason` per finding
    layering.py --self-test            plant one violation of each kind and expect it to be found
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

BASE = {"format/base"}
TENSOR = BASE | {"format/tensor"}
ARCHITECTURE = TENSOR | {"format/architecture"}
CHECKPOINT = ARCHITECTURE | {"format/checkpoint"}
MANIFEST = ARCHITECTURE | {"format/manifest"}
ORGAN = CHECKPOINT | MANIFEST | {"format/organ"}
SIGNATURE = ORGAN | {"format/signature"}


def train(*rooms):
    return {"train/" + room for room in rooms}


# Room -> rooms that it may include beside itself, in the order of the floors: a room sees only rooms
# that stand before it (the self-test holds that too).
MODULES = {
    "format/base": set(),
    "format/tensor": BASE,
    "format/architecture": TENSOR,
    "format/checkpoint": ARCHITECTURE,
    "format/manifest": ARCHITECTURE,
    "format/organ": CHECKPOINT | MANIFEST,
    "format/signature": ORGAN,
    "registry/blobs": BASE,
    "registry/log": MANIFEST,
    "registry/trust": SIGNATURE,
    "registry/catalog": MANIFEST | {"registry/log"},
    "registry/oci": ORGAN | {"registry/blobs", "registry/log", "registry/catalog"},
    "registry": SIGNATURE | {"registry/blobs", "registry/log", "registry/trust", "registry/catalog",
                             "registry/oci"},
    "transplant": ORGAN,
    "train/kernels": BASE,
    "train/machine": BASE | train("kernels"),
    "train/processes": BASE | train("kernels", "machine"),
    "train/tokenizer/text": BASE,
    "train/tokenizer/models": BASE | train("tokenizer/text"),
    "train/tokenizer/stages": BASE | train("tokenizer/text"),
    "train/tokenizer": BASE | train("tokenizer/text", "tokenizer/models", "tokenizer/stages"),
    "train/data": CHECKPOINT | train("tokenizer", "tokenizer/text"),
    "train/adapter": CHECKPOINT | train("tokenizer/text", "data"),
    "train/positions": ARCHITECTURE | train("kernels"),
    "train/weights": CHECKPOINT | train("kernels", "positions", "adapter"),
    "train/layers": BASE | train("kernels", "positions", "weights"),
    "train/model": CHECKPOINT | train("kernels", "machine", "adapter", "positions", "weights",
                                      "layers"),
    "train/passes": CHECKPOINT | train("kernels", "machine", "data", "positions", "layers",
                                       "model"),
    "train/optimize": CHECKPOINT | train("kernels", "adapter", "weights", "model"),
    "train/generate": CHECKPOINT | train("machine", "data", "model"),
    "train/probes": BASE | train("machine", "data", "positions", "model", "passes"),
    "train/evaluate": CHECKPOINT | train("machine", "data", "adapter", "positions", "model",
                                         "passes", "probes"),
    "train/trainer": ORGAN | train("kernels", "machine", "processes", "data", "weights", "model",
                                   "passes", "optimize", "probes", "evaluate"),
    "train/baselines": ORGAN | train("kernels", "machine", "processes", "data", "adapter", "positions", "model",
                                     "passes", "optimize", "trainer"),
    "cli/frame": SIGNATURE,
    "cli/output": SIGNATURE | {"cli/frame", "registry", "registry/catalog", "transplant"},
    "cli/organ": SIGNATURE | {"cli/frame", "cli/output", "registry", "registry/log", "registry/catalog",
                              "registry/trust", "transplant"},
    "cli/train": ORGAN | {"cli/frame", "transplant"} |
    train("machine", "processes", "tokenizer", "data", "adapter", "generate", "optimize", "probes",
          "evaluate", "trainer", "baselines"),
}
MODULES["tests"] = set(MODULES)

# Rooms whose headers may show LibTorch. In the others it stays in .cc files and internal/ headers;
# TORCH_FREE never see it.
TORCH_IN_HEADERS = train("kernels", "machine", "processes", "positions", "weights", "layers",
                         "model", "passes", "optimize") | {"tests"}
TORCH_FREE = train("tokenizer/text", "tokenizer/models", "tokenizer/stages", "tokenizer", "data",
                   "adapter")
TORCH = re.compile(r"(torch|ATen|c10|caffe2)/")

# Third-party header -> top folders or rooms whose .cc files may include it. Anything else in angle brackets
# that is not the C or C++ library or the operating system is a finding.
EVERYWHERE = {"format", "registry", "transplant", "train", "cli", "tests"}
THIRD_PARTY = {
    r"openssl/": {"format", "registry", "tests"},
    r"zstd\.h|zdict\.h|zstd_errors\.h": {"format", "registry", "tests"},
    r"sqlite3\.h": {"registry", "tests"},
    r"curl/": {"registry", "tests"},
    r"archive(_entry)?\.h": {"registry", "tests"},
    r"CLI/": {"cli/frame"},  # a file that includes it takes four seconds to compile
    r"pcre2\.h": {"train", "tests"},
    r"unicode/": {"train", "tests"},
    TORCH.pattern: {"train", "tests"},
    r"fmt/": EVERYWHERE,
    r"nlohmann/": EVERYWHERE,
    r"doctest/": {"tests"},
    r"valijson/": {"tests"},
    r"cuda": {"train"},
}
IN_HEADERS = re.compile(r"nlohmann/json_fwd\.hpp|fmt/core\.h")  # cheap, and ours to show

SYSTEM = re.compile(r"[a-z_0-9]+|(sys|linux|netinet|arpa)/[a-z_0-9]+\.h|"
                    r"(assert|ctype|dirent|dlfcn|errno|fcntl|fenv|float|grp|immintrin|inttypes|"
                    r"limits|locale|malloc|math|mntent|poll|pthread|pwd|sched|signal|spawn|stdarg|"
                    r"stddef|stdint|stdio|stdlib|string|strings|termios|time|unistd|utime|cpuid|x86intrin)\.h")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
SOURCE_SUFFIXES = {".cc", ".h", ".cu", ".cuh"}
HEADER_SUFFIXES = (".h", ".cuh")
SCRIPT_SUFFIXES = {".py", ".sh", ".build", ".sql"}
MAX_LINES = 400
MAX_ENTRIES = 25  # of a folder of sources, meson.build not counted
SOURCE_TREES = ("format", "registry", "transplant", "train", "cli")
CONSUMERS = "tests/consumer/"  # see what is installed, as a stranger does
PRECOMPILED = "pch"             # for the compiler, not for a reader: no room
DECLARATIONS = "gloo_declarations"  # stands in for another project's headers


def module_of(path):
    """The longest room that is a prefix of `path`, else None."""
    parts = Path(path).parts
    for length in (3, 2, 1):
        name = "/".join(parts[:length])
        if len(parts) > length and name in MODULES:
            return name
    return None


def folder_of_internal(path):
    """format/x/internal/y.h -> format/x; None for a path without internal/."""
    parts = Path(path).parts
    return "/".join(parts[:parts.index("internal")]) if "internal" in parts else None


class Tree:
    def __init__(self, root, paths):
        self.root, self.paths = root, paths
        self.lines = {p: (root / p).read_text(encoding="utf-8").splitlines(keepends=True)
                      for p in paths}
        self.known = set(paths)

    def includes(self, path):
        for number, line in enumerate(self.lines[path], 1):
            match = INCLUDE.match(line)
            if match:
                yield number, match.group(1) == '"', match.group(2)

    def way_to_torch(self, header, seen):
        """The chain of headers from `header` to one of LibTorch's, or None."""
        if header in seen or header not in self.known:
            return None
        seen.add(header)
        for _, quoted, target in self.includes(header):
            if not quoted and TORCH.match(target):
                return [header, f"<{target}>"]
            way = self.way_to_torch(target, seen) if quoted else None
            if way:
                return [header, *way]
        return None


def check_quoted(path, module, target, tree):
    target_module = module_of(target)
    if target_module is None:
        return f"include \"{target}\" does not name its room"
    if not (tree.root / target).is_file():
        return f"include \"{target}\": no such file"
    if target_module != module and target_module not in MODULES[module]:
        return f"{module}/ may not include {target_module}/ (\"{target}\")"
    inside = folder_of_internal(target)
    if inside is not None and module != "tests" and module != inside:
        return f"\"{target}\" is internal to {inside}/"
    if module.startswith("cli/") and target.endswith(HEADER_SUFFIXES):
        way = tree.way_to_torch(target, set())
        if way:
            return f"cli/ reaches LibTorch: {' -> '.join(way)}"
    return None


def torch_is_allowed(path, module):
    if module in TORCH_FREE:
        return False
    return not path.endswith(HEADER_SUFFIXES) or module in TORCH_IN_HEADERS \
        or "internal" in Path(path).parts


def check_angled(path, module, target):
    for pattern, allowed in THIRD_PARTY.items():
        if not re.match(pattern, target):
            continue
        if not {module, module.split("/")[0]} & allowed:
            return f"<{target}> is not for {module}/"
        if TORCH.match(target):
            allowed_here = torch_is_allowed(path, module)
            return None if allowed_here else f"<{target}>: {module}/ shows no LibTorch here"
        shown = path.endswith(HEADER_SUFFIXES) and "internal" not in Path(path).parts
        if shown and module != "tests" and not IN_HEADERS.fullmatch(target):
            return f"<{target}> belongs into a .cc file, not into a header"
        return None
    if not SYSTEM.fullmatch(target):
        return f"<{target}> is no known system or third-party header"
    return None


def check_includes(path, tree):
    if {PRECOMPILED, DECLARATIONS} & set(Path(path).parts):
        return
    module = module_of(path)
    if module is None:
        if path.startswith(SOURCE_TREES) and not path.startswith(PRECOMPILED):
            yield 1, f"{Path(path).parent}/ is no room of tests/layering.py"
        return
    if DECLARATIONS in Path(path).parts or path.startswith(CONSUMERS):
        return
    for number, quoted, target in tree.includes(path):
        if quoted:
            reason = check_quoted(path, module, target, tree)
        elif target.startswith("gloo/") and module == "train/processes":
            reason = None
        else:
            reason = check_angled(path, module, target)
        if reason:
            yield number, reason


def check_lines(path, lines):
    head = "".join(lines[:2])
    if "SPDX-License-Identifier: Apache-2.0" not in head:
        yield 1, "the SPDX line is missing"
    # Tables that a script made are as long as what they list.
    made = any("Made by tests/tools/" in line for line in lines[:8])
    if len(lines) > MAX_LINES and not path.startswith("tests/") and path != "dev" and not made:
        yield MAX_LINES, f"{len(lines)} lines; at most {MAX_LINES}"
    for number, line in enumerate(lines, 1):
        if UNFINISHED.search(line) and not path.endswith("layering.py"):
            yield number, "unfinished work has no place here"


def check_folders(tree):
    """Sizes of the source folders, and that each folder of tests stands for one of sources."""
    entries = {}
    for path in tree.paths:
        parts = Path(path).parts
        if parts[0] not in SOURCE_TREES:
            continue
        for length in range(1, len(parts)):
            if parts[length] != "meson.build":
                entries.setdefault("/".join(parts[:length]), set()).add(parts[length])
    for folder, names in sorted(entries.items()):
        if len(names) > MAX_ENTRIES:
            yield f"{folder}:1: {len(names)} entries; at most {MAX_ENTRIES}"
    folders = set(entries)
    for path in tree.paths:
        parts = Path(path).parts
        if parts[0] != "tests" or not path.endswith("_test.cc") or parts[1] not in SOURCE_TREES:
            continue
        mirrored = "/".join(parts[1:-1])
        if mirrored not in folders:
            yield f"{path}:1: tests mirror the sources, and there is no folder {mirrored}/"


def check_readme(tree):
    """Each room has its sentence: a row of the README's table that starts with its name."""
    readme = tree.root / "README.md"
    if not readme.is_file():
        return
    rows = set(re.findall(r"^\| `([a-z_/]+)/` \|", readme.read_text(encoding="utf-8"), re.M))
    for room in MODULES:
        if room not in rows:
            yield f"README.md:1: the room {room}/ has no sentence in the architecture's tables"


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
    tree = Tree(root, sorted(tracked_files(root)))
    found = []
    for path in tree.paths:
        reasons = list(check_lines(path, tree.lines[path]))
        if Path(path).suffix in SOURCE_SUFFIXES:
            reasons += check_includes(path, tree)
        found += [f"{path}:{line}: {reason}" for line, reason in reasons]
    return found + list(check_folders(tree)) + list(check_readme(tree))


PLANTED = {
    "format/base/up.h": ('#include "format/tensor/tensor.h"', "may not include"),
    "format/manifest/beside.cc": ('#include "format/checkpoint/checkpoint.h"', "may not include"),
    "registry/side.cc": ('#include "transplant/plan.h"', "may not include"),
    "registry/log/up.cc": ('#include "registry/registry.h"', "may not include"),
    "registry/bare.cc": ('#include "plan.h"', "does not name its room"),
    "registry/gone.cc": ('#include "registry/gone.h"', "no such file"),
    "train/layers/up.cc": ('#include "train/model/model.h"', "may not include"),
    "train/passes/inside.cc": ('#include "train/model/internal/ends.h"', "is internal to"),
    "train/hall.cc": ("", "is no room"),
    "cli/train/heavy.cc": ('#include "train/trainer/hidden.h"', "cli/ reaches LibTorch"),
    "format/tensor/db.cc": ("#include <sqlite3.h>", "is not for format/"),
    "registry/db.h": ("#include <sqlite3.h>", "belongs into a .cc file"),
    "format/base/json.h": ("#include <nlohmann/json.hpp>", "belongs into a .cc file"),
    "transplant/torch.cc": ("#include <torch/torch.h>", "is not for transplant/"),
    "train/trainer/torch.h": ("#include <ATen/ATen.h>", "shows no LibTorch here"),
    "train/data/torch.cc": ("#include <ATen/ATen.h>", "shows no LibTorch here"),
    "cli/organ/other.cc": ("#include <boost/any.hpp>", "no known"),
    "cli/organ/parser.cc": ("#include <CLI/CLI.hpp>", "is not for cli/organ/"),
    "cli/organ/later.cc": ("// TO" "DO: later", "unfinished"),
    "cli/organ/long.cc": ("\n" * MAX_LINES, "lines; at most"),
    "tests/train/attic/lost_test.cc": ("", "tests mirror the sources"),
}
INNOCENT = {
    "format/tensor/tensor.h": "#include <vector>\n#include <nlohmann/json_fwd.hpp>\n",
    "format/checkpoint/checkpoint.h": '#include "format/tensor/tensor.h"\n',
    "registry/registry.h": '#include "registry/log/log.h"\n',
    "registry/log/log.h": "#include <string>\n",
    "transplant/plan.h": '#include "format/tensor/tensor.h"\n',
    "train/kernels/rows.h": "#include <ATen/ATen.h>\n",
    "train/model/model.h": '#include "train/kernels/rows.h"\n',
    "train/model/internal/ends.h": "#include <ATen/ATen.h>\n",
    "train/model/good.cc": '#include "train/model/internal/ends.h"\n',
    "train/trainer/hidden.h": '#include "train/model/model.h"\n',
    "cli/frame/good.cc": "#include <CLI/CLI.hpp>\n",
    "cli/organ/good.cc": '#include <sys/stat.h>\n#include "transplant/plan.h"\n',
    "tests/train/model/good_test.cc": '#include "train/model/internal/ends.h"\n',
}
# Files planted together: a folder that is too full.
CROWD = {f"transplant/part_{i:02}.cc": "" for i in range(MAX_ENTRIES + 1)}


def missed(root, planted):
    found = findings(root)
    for path, (_, reason) in planted.items():
        if not any(f.startswith(path + ":") and reason in f for f in found):
            yield f"{path}: '{reason}' was not found"
    for line in found:
        if line.split(":")[0] in INNOCENT:
            yield f"innocent, but found: {line}"


def plant(root, files):
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("// SPDX-License-Identifier: Apache-2.0\n" + text + "\n", encoding="utf-8")


def self_test():
    problems = []
    below = set()
    for room, seen in MODULES.items():
        problems += [f"{room} sees {s}, which does not stand below it" for s in seen - below]
        below.add(room)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        plant(root, INNOCENT | {path: text for path, (text, _) in PLANTED.items()})
        problems += missed(root, PLANTED)
        plant(root, CROWD)
        problems += missed(root, {"transplant": ("", "entries; at most")})
        (root / "README.md").write_text("| `format/base/` | errors |\n", encoding="utf-8")
        problems += missed(root, {"README.md": ("", "the room train/model/ has no sentence")})
    for problem in problems:
        print(problem)
    print(f"{len(PLANTED) + 2} planted, {len(problems)} problems")
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
