# SPDX-License-Identifier: Apache-2.0
"""Looks at every C++ source of the project with clang.

    clang_sources.py werror|tidy SOURCE_ROOT BUILD [FILE...]

werror: clang++ with the build's warnings, each an error. tidy: clang-tidy with .clang-tidy, each finding
an error. The commands are those of BUILD/compile_commands.json, made for g++, without what only g++
knows: its precompiled headers too, so each file must include what it uses. What no target of a build
compiles (the fuzz targets, the programs of a host) is looked at as its likes are. A finding in a header
is shown once.

clang-tidy spends four fifths of its time in the headers of others, once for each file. So it is given
several files in one, those that are compiled alike and define no name twice; what does not compile so is
taken apart again. Where nothing was found is remembered (clang_memory.py): the next call looks only at what
changed since, in $ORGAN_CACHE/lint, or at all where that is not set.
"""
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from clang_memory import Memory, version_of

ROOMS = ("format", "registry", "transplant", "train", "cli", "tests")
DROPPED = {"-c", "-MD", "-Winvalid-pch", "-fpch-preprocess", "-fdiagnostics-color=always", "-fopenmp",
           "-Wno-array-bounds", "-Wno-restrict", "-Wno-stringop-overread"}
DROPPED_WITH_NEXT = {"-o", "-MQ", "-MF"}
# Folder of sources that a build need not have -> a file that is always compiled, with such flags.
LIKES = {
    "tests/bench/": "tests/tools/hidden_states.cc",
    "tests/consumer/": "tests/tools/verify_folder.cc",
    "tests/fuzz/": "tests/tools/verify_folder.cc",
}
FINDING = re.compile(r"^/.*: (warning|error): ", re.M)


def clang_arguments(command):
    """The arguments of g++ as clang takes them, without the file."""
    words = shlex.split(command)
    while not os.path.basename(words[0]).startswith(("g++", "clang++", "c++")):
        words.pop(0)  # ccache
    out, skip = [], False
    for word, following in zip(words[1:], words[2:] + [""]):
        pch = word == "-include" and not following.startswith("/")
        if skip or word in DROPPED or word in DROPPED_WITH_NEXT or pch:
            skip = not skip and (word in DROPPED_WITH_NEXT or pch)
            continue
        out.append(word)
    return out[:-1]


GROUP = re.compile(r"-unity\d+\.cpp$")
GROUPED = re.compile(r'^#include ?[<"](.+)[>"]$', re.M)


def compiled_files(path):
    """The file itself, or those of a group that meson compiles as one (meson.build, room_options)."""
    if not GROUP.search(path.name):
        return [Path(os.path.normpath(path))]
    return [Path(os.path.normpath(path.parent / name))
            for name in GROUPED.findall(path.read_text(encoding="utf-8"))]


def known_commands(root, build):
    """File -> (folder to run in, arguments), for every source that the build compiles."""
    commands = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        folder = Path(entry["directory"])
        for path in compiled_files(folder / entry["file"]):
            if path.is_relative_to(root):
                commands.setdefault(str(path.relative_to(root)),
                                    (folder, clang_arguments(entry["command"])))
    return commands


def sources(root):
    listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard", "*.cc"],
                            check=True, capture_output=True, text=True).stdout.splitlines()
    return [f for f in listed if f.startswith(ROOMS)]


def with_likes(commands, files, stage):
    """Adds what no target compiles; gives the files that are left without a command."""
    left = []
    for file in files:
        like = next((l for start, l in LIKES.items() if file.startswith(start)), None)
        if file not in commands and like in commands:
            folder, arguments = commands[like]
            commands[file] = folder, [*arguments, "-I", str(stage)]
        if file not in commands:
            left.append(file)
    return left


def stage_headers(root, build, stage):
    """What a host sees: organ/… as `meson install` writes it."""
    lists = sorted((root / "packaging/library").glob("*headers.txt"))
    subprocess.run([sys.executable, root / "packaging/library/public_headers.py", root, stage, *lists],
                   check=True)
    version = (build / "packaging/library/version.h").read_text(encoding="utf-8")
    (stage / "organ/version.h").write_text(version, encoding="utf-8")


# A definition or a name made known, outside of every class and function.
OUTER_NAME = re.compile(r"^(?![}#/ ]|namespace\b|extern\b|TEST_CASE|return\b)[^(={;\[]*?\b(\w+)\s*[(={;\[]")
MOST_IN_ONE = 12


class Bundle:
    """Files that are looked at as one."""

    def __init__(self, root, files, path):
        self.root, self.files, self.path = root, files, path
        self.starts, text = [], ""
        for file in files:
            self.starts.append(text.count("\n"))
            text += (root / file).read_text(encoding="utf-8") + "\n"
        path.write_text(text, encoding="utf-8")

    def in_files(self, text):
        """Places in the bundle are told as places in the files."""
        def place(match):
            line = int(match[1])
            index = max(i for i, start in enumerate(self.starts) if start < line)
            return f"{self.root / self.files[index]}:{line - self.starts[index]}:"
        return re.sub(re.escape(str(self.path)) + r":(\d+):", place, text)


def outer_names(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return {m[1] for m in map(OUTER_NAME.match, lines) if m}


def alike(arguments):
    """What two files must share to be compiled as one: all but the folders of their own targets."""
    return tuple(word for word in arguments if not word.startswith("-I") or word.startswith("-I/"))


def bundled(root, files, commands):
    groups = []  # [key, names, files]
    for file in files:
        key, names = alike(commands[file][1]), outer_names(root / file)
        for group in groups:
            if group[0] == key and len(group[2]) < MOST_IN_ONE and not group[1] & names:
                group[1] |= names
                group[2].append(file)
                break
        else:
            groups.append([key, names, [file]])
    return [group[2] for group in groups]


def compiles(folder, arguments, path):
    return subprocess.run(["clang++", "-fsyntax-only", "-w", *arguments, str(path)], cwd=folder,
                          capture_output=True, check=False).returncode == 0


def tidy_command(root, database, path):
    return ["clang-tidy", "--quiet", "-p", str(database), "--warnings-as-errors=*",
            f"--config-file={root / '.clang-tidy'}",
            f"--header-filter=^{root}/(build[^/]*/../)?({'|'.join(ROOMS)})/", str(path)]


def remembered(memory, folder, arguments, path, run):
    """Findings, or none where none were found in the same before."""
    page = memory.page(folder, arguments, path)
    if memory.knows(page):
        return []
    headers = memory.headers(folder, arguments, path)
    found = run()
    if headers and not found:
        memory.remember(page, headers)
    return found


def tidy(root, scratch, files, commands, memory):
    """Findings of the files, taken as one where that compiles."""
    folder, arguments = commands[files[0]]
    path = scratch / (files[0].replace("/", "_") + f".{len(files)}.cc")
    bundle = Bundle(root, files, path)
    return remembered(memory, folder, arguments, path,
                      lambda: tidy_bundle(bundle, scratch, commands, memory))


def tidy_bundle(bundle, scratch, commands, memory):
    root, files, path = bundle.root, bundle.files, bundle.path
    folder, arguments = commands[files[0]]
    if len(files) > 1 and not compiles(folder, arguments, path):
        half = len(files) // 2
        return [finding for part in (files[:half], files[half:])
                for finding in tidy(root, scratch, part, commands, memory)]
    database = path.with_suffix(".d")
    database.mkdir()
    write_database(database, {path: (folder, arguments)})
    done = subprocess.run(tidy_command(root, database, path), cwd=folder, capture_output=True, text=True,
                          check=False)
    return told(bundle.in_files(done.stdout + done.stderr), done, files[0])


def werror(root, file, commands, memory):
    folder, arguments = commands[file]
    return remembered(memory, folder, arguments, root / file,
                      lambda: werror_file(root, file, folder, arguments))


def werror_file(root, file, folder, arguments):
    done = subprocess.run(["clang++", "-fno-color-diagnostics", "-fsyntax-only", "-Werror", *arguments,
                           str(root / file)], cwd=folder, capture_output=True, text=True, check=False)
    return told(done.stdout + done.stderr, done, file)


def write_database(database, commands):
    entries = [{"directory": str(folder), "file": str(path),
                "arguments": ["clang++", *arguments, str(path)]}
               for path, (folder, arguments) in commands.items()]
    (database / "compile_commands.json").write_text(json.dumps(entries), encoding="utf-8")


def findings_of(text):
    """The text cut before each finding; what goes before the first is noise."""
    starts = [m.start() for m in FINDING.finditer(text)] + [len(text)]
    return [text[a:b].rstrip() for a, b in zip(starts, starts[1:])]


def told(text, done, file):
    found = findings_of(text)
    if done.returncode != 0 and not found:
        found = [f"{file}: {done.stderr.strip() or 'failed'}"]
    return found


def look(run, parts):
    """Prints each finding once; how many there are."""
    seen = set()
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for findings in pool.map(run, parts):
            for finding in findings:
                if finding not in seen:
                    print(finding, flush=True)
                seen.add(finding)
    return len(seen)


def memory_of(tool, root, scratch):
    program = {"werror": "clang++", "tidy": "clang-tidy"}[tool]
    settings = [tool, version_of(program), (root / ".clang-tidy").read_text(encoding="utf-8"),
                Path(__file__).read_text(encoding="utf-8")]
    cache = os.environ.get("ORGAN_CACHE")
    return Memory(Path(cache) / "lint" if cache else scratch / "lint", settings,
                  {str(root): "<root>", str(scratch): "<scratch>"})


def main():
    tool, root, build = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve()
    commands = known_commands(root, build)
    with tempfile.TemporaryDirectory(prefix="organ-clang-") as temporary:
        scratch = Path(temporary)
        stage_headers(root, build, scratch)
        left = with_likes(commands, sources(root), scratch)
        files = sys.argv[4:] or [f for f in sources(root) if f in commands]
        memory = memory_of(tool, root, scratch)
        if tool == "werror":
            bad = look(lambda file: werror(root, file, commands, memory), files)
        else:
            bad = look(lambda group: tidy(root, scratch, group, commands, memory),
                       bundled(root, files, commands))
    for file in left:
        print(f"{file}: not looked at, this build does not compile it")
    print(f"{tool}: {len(files)} files, {bad} findings, {len(left)} not looked at")
    complete = any(file.startswith("train/model/") for file in commands)  # else built without LibTorch
    return 1 if bad or (left and complete) else 0


if __name__ == "__main__":
    sys.exit(main())
