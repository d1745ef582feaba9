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

from layering_file_system import SOURCE_TREES, check_file_system
from layering_planted import CROWD, INNOCENT, MAX_ENTRIES, MAX_LINES, PLANTED
from layering_rooms import MODULES, train

# Rooms whose headers may show LibTorch. In the others it stays in .cc files and internal/ headers;
# TORCH_FREE never see it.
TORCH_IN_HEADERS = train("kernels", "machine", "processes", "positions", "weights", "layers",
                         "model", "passes", "optimize") | {"tests"}
TORCH_FREE = train("tokenizer/text", "tokenizer/models", "tokenizer/stages", "tokenizer",
                   "data/source", "data", "adapter")
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
    r"dnnl\.hpp": {"train"},
}
IN_HEADERS = re.compile(r"nlohmann/json_fwd\.hpp|fmt/core\.h")  # cheap, and ours to show

SYSTEM = re.compile(r"[a-z_0-9]+|(sys|linux|netinet|arpa)/[a-z_0-9]+\.h|"
                    r"(assert|ctype|dirent|dlfcn|errno|fcntl|fenv|float|grp|immintrin|inttypes|"
                    r"limits|locale|malloc|math|mntent|poll|pthread|pwd|sched|signal|spawn|stdarg|"
                    r"stddef|stdint|stdio|stdlib|string|strings|termios|time|unistd|utime|cpuid|x86intrin)\.h")
INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]\s*$')
ANY_INCLUDE = re.compile(r"\s*(#|%:|\?\?=)\s*(include|import)")
COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
SOURCE_SUFFIXES = {".cc", ".h", ".cu", ".cuh"}
# What compilers also read: by these names no rule would see it.
OTHER_SOURCES = {".c", ".txx", ".c++", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".h++", ".inc", ".inl", ".ipp", ".tcc",
                 ".ixx", ".cppm"}
HEADER_SUFFIXES = (".h", ".cuh")
SCRIPT_SUFFIXES = {".py", ".sh", ".build", ".sql", ".js", ".css"}
CONSUMERS = "tests/consumer/"  # see what is installed, as a stranger does
# For the compiler, not for a reader: no rooms.
PRECOMPILED = {"format/pch/plain.h", "train/pch/torch.h"}
VERSION = "packaging/library/version.cc"  # of the build, with a header that the build makes
DECLARATIONS = "train/processes/gloo_declarations/"  # stands in for another project's headers
# Folders of tests/ that stand for no folder of the sources.
OWN_TESTS = {"bench", "cases", "consumer", "data", "fuzz", "library", "package", "support", "tools"}


def module_of(path):
    """The room that the file lies in, itself or in its internal/; else None. Tests are one room."""
    if path.startswith("tests/"):
        return "tests"
    parts = Path(path).parts[:-1]
    if parts and parts[-1] == "internal":
        parts = parts[:-1]
    name = "/".join(parts)
    return name if name in MODULES else None


def folder_of_internal(path):
    """format/x/internal/y.h -> format/x; None for a path without internal/."""
    parts = Path(path).parts
    return "/".join(parts[:parts.index("internal")]) if "internal" in parts else None


def includes_of(text):
    # Continued lines joined, comments blanked out, so that an include is seen however it is written.
    joined = re.sub(r"\\\n", lambda _: "\x00", text)
    plain = COMMENT.sub(lambda m: m.group() if m.group()[0] == '"' else re.sub(r"[^\n\x00]", " ", m.group()),
                        joined)
    number = 1
    for line in plain.split("\n"):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1) == '"', match.group(2)
        elif ANY_INCLUDE.match(line.replace("\x00", " ")):
            yield number, None, line.strip()
        number += 1 + line.count("\x00")


class Tree:
    def __init__(self, root, paths):
        self.root, self.paths = root, paths
        self.lines = {p: (root / p).read_text(encoding="utf-8").splitlines(keepends=True)
                      for p in paths}
        self.known = set(paths)

        self.found = {}

    def includes(self, path):
        """Line, whether it is quoted, what; (line, None, text) for an include that hides what it takes."""
        if path not in self.found:
            self.found[path] = list(includes_of("".join(self.lines[path])))
        return self.found[path]

    def way_to_torch(self, header, seen):
        """The chain of headers from `header` to one of LibTorch's, or None."""
        if header in seen or header not in self.known:
            return None
        seen.add(header)
        for _, quoted, target in self.includes(header):
            if quoted is False and TORCH.match(target):
                return [header, f"<{target}>"]
            way = self.way_to_torch(target, seen) if quoted else None
            if way:
                return [header, *way]
        return None


def is_shown(path):
    """A header that other rooms may include."""
    return path.endswith(HEADER_SUFFIXES) and "internal" not in Path(path).parts


def check_quoted(path, module, target, tree):
    if {".", ".."} & set(target.split("/")) or "//" in target:
        return f"include \"{target}\" takes a way round"
    if not target.endswith(HEADER_SUFFIXES) and not target.startswith("tests/data/"):
        return f"include \"{target}\" is no header"
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
    if inside is not None and is_shown(path) and module != "tests":
        return f"shows \"{target}\", which is internal"
    way = None
    if module.startswith("cli/") or is_shown(path) and module not in TORCH_IN_HEADERS:
        way = tree.way_to_torch(target, set())
    if way and module.startswith("cli/"):
        return f"cli/ reaches LibTorch: {' -> '.join(way)}"
    return f"shows LibTorch: {' -> '.join(way)}" if way else None


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
        if is_shown(path) and module != "tests" and not IN_HEADERS.fullmatch(target):
            return f"<{target}> belongs into a .cc file, not into a header"
        return None
    if not SYSTEM.fullmatch(target):
        return f"<{target}> is no known system or third-party header"
    return None


def check_includes(path, tree):
    if path in PRECOMPILED | {VERSION} or path.startswith((DECLARATIONS, CONSUMERS)):
        return
    module = module_of(path)
    if module is None:
        yield 1, f"{Path(path).parent}/ is no room of tests/layering.py"
        return
    for number, quoted, target in tree.includes(path):
        if quoted is None:
            reason = f"'{target}' hides what it includes"
        elif quoted:
            reason = check_quoted(path, module, target, tree)
        elif target.startswith("gloo/") and module == "train/processes" and not is_shown(path):
            reason = None
        else:
            reason = check_angled(path, module, target)
        if reason:
            yield number, reason


def check_lines(path, tree):
    lines = tree.lines[path]
    head = "".join(lines[:2])
    if "SPDX-License-Identifier: Apache-2.0" not in head:
        yield 1, "the SPDX line is missing"
    if Path(path).suffix in OTHER_SOURCES:
        yield 1, f"sources are named {' '.join(sorted(SOURCE_SUFFIXES))}"
    # Tables that a script made are as long as what they list.
    made = re.search(r"Made by (tests/tools/\w+\.py)", "".join(lines[:8]))
    if len(lines) > MAX_LINES and path != "dev" and not (made and made.group(1) in tree.known):
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
        if parts[0] != "tests" or not path.endswith("_test.cc") or parts[1] in OWN_TESTS:
            continue
        mirrored = "/".join(parts[1:-1])
        if mirrored not in folders:
            yield f"{path}:1: tests mirror the sources, and there is no folder {mirrored}/"


def check_readme(tree):
    """Each room has its sentence: a row of the README's table that starts with its name."""
    readme = tree.root / "README.md"
    if not readme.is_file():
        yield "README.md:1: is missing, each room has a sentence in it"
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
    wanted = SOURCE_SUFFIXES | OTHER_SOURCES | SCRIPT_SUFFIXES
    return [f for f in listed if (Path(f).suffix in wanted or f in ("dev", ".ci/run"))
            and "tests/data/" not in f and (root / f).is_file()]


def findings(root):
    tree = Tree(root, sorted(tracked_files(root)))
    found = []
    for path in tree.paths:
        reasons = list(check_lines(path, tree))
        if Path(path).suffix in SOURCE_SUFFIXES:
            reasons += check_includes(path, tree)
            reasons += check_file_system(path, tree)
        found += [f"{path}:{line}: {reason}" for line, reason in reasons]
    return found + list(check_folders(tree)) + list(check_readme(tree))


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
        problems += missed(root, {"README.md": ("", "is missing")})
        plant(root, CROWD)
        problems += missed(root, {"transplant": ("", "entries; at most")})
        (root / "README.md").write_text("| `format/base/` | errors |\n", encoding="utf-8")
        problems += missed(root, {"README.md": ("", "the room train/model/ has no sentence")})
    for problem in problems:
        print(problem)
    print(f"{len(PLANTED) + 3} planted, {len(problems)} problems")
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
