# SPDX-License-Identifier: Apache-2.0
"""Takes guarantees away one by one and says which tests notice.

    mutations.py SOURCE_ROOT [--work FOLDER] [--list FILE] [--only TEST] [--all | --check] [TEXT]

Copies the sources, builds what needs no LibTorch to compile (of train/ only where $ORGAN_TORCH_ROOT or the cache
has it, else its lines are left out), and for each line of mutations.txt (with TEXT in it)
changes the copy, builds what depends on it and runs tests until one fails or takes half an hour; --all runs
all of them, --only those with TEST in their name.
Ends with 1 when a mutation is caught by none. FOLDER keeps the build for the next time. --check only sees
that every line still names exactly one line of the sources.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TARGETS = ["cli/organ", "tests/make_tiny_organ", "tests/libpoor_file_system.so"]
UNIT = ["format", "registry", "transplant"]
TORCH = Path(os.environ.get("ORGAN_TORCH_ROOT") or
             Path(os.environ.get("ORGAN_CACHE") or Path.home() / ".cache/organ") / "libtorch-2.11.0")
# Name, command in the build folder; the cheap ones first.
PROGRAMS = {
    "cli flows": ["/usr/bin/python3", "{source}/tests/cli/run_cases.py", "cli/organ", "{source}/tests/cli/flows"],
    "power cut": ["/usr/bin/python3", "{source}/tests/cli/durability/power_cut.py", "cli/organ", "--every", "3"],
    "kill publish": ["/usr/bin/python3", "{source}/tests/registry/kill_publish.py", "cli/organ",
                     "tests/make_tiny_organ"],
    "failing calls": ["/usr/bin/python3", "{source}/tests/cli/durability/failing_calls.py", "cli/organ", "--every",
                      "29"],
    "modes": ["/usr/bin/python3", "{source}/tests/cases/modes.py", "cli/organ"],
    "access lists": ["/usr/bin/python3", "{source}/tests/cases/access_lists.py", "cli/organ"],
    "remote storage": ["/usr/bin/python3", "{source}/tests/registry/remote/storage.py", "cli/organ",
                       "tests/libpoor_file_system.so"],
    "round trip": ["/usr/bin/python3", "{source}/tests/registry/remote/round_trip.py", "cli/organ"],
    "free room": ["/usr/bin/python3", "{source}/tests/cli/free_room.py", "cli/organ", "tests/libpoor_file_system.so"],
}
FUZZ = {"bundle": "format", "organ_json": "format", "note": "registry", "log": "registry", "log_proof": "registry",
        "oci": "registry", "policy": "registry", "root": "registry", "lock": "registry", "journal": "transplant",
        "receipt": "transplant", "pickle": "format", "donor_metadata": "transplant"}


class Mutation:
    def __init__(self, line):
        self.file, rest = line.split(": ", 1)
        self.old, self.new = rest.split(" -> ")

    def mutated(self, source):
        """The file with the one line changed."""
        lines = (source / self.file).read_text().split("\n")
        found = [i for i, line in enumerate(lines) if line.strip() == self.old.strip()]
        if len(found) != 1:
            raise ValueError(f"{self.file}: {len(found)} lines are {self.old.strip()!r}")
        lines[found[0]] = self.new
        return "\n".join(lines)


def read_list(path, text):
    lines = path.read_text().splitlines()
    return [Mutation(line) for line in lines if line and not line.startswith("#") and text in line]


def copy_sources(root, target):
    listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"], capture_output=True,
                            text=True, check=True)
    for name in listed.stdout.splitlines():
        source, copy = root / name, target / name
        if not source.is_file():
            continue
        if copy.exists() and copy.read_bytes() == source.read_bytes():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, copy)
        os.utime(copy)


class Tree:
    def __init__(self, root, work, only):
        self.only = only
        self.source, self.build = work / "source", work / "source/build"
        copy_sources(root, self.source)
        if not (self.build / "build.ninja").exists():
            train = ["-Dtrain=enabled", f"-Dtorch_root={TORCH}"] if TORCH.is_dir() else ["-Dtrain=disabled"]
            self.must(["meson", "setup", self.build, self.source, *train], work)
        self.units = [*UNIT, "training"] if TORCH.is_dir() else UNIT
        self.fuzz = {f"replay_{name}": module for name, module in FUZZ.items()}

    def must(self, command, folder):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ValueError(f"{command[0]}: {(done.stdout + done.stderr)[-2000:]}")

    def compile(self):
        units = [f"tests/{unit}_test" for unit in self.units]
        self.must(["ninja", "-j2", *TARGETS, *units, *(f"tests/fuzz/{name}" for name in self.fuzz)], self.build)

    def tests(self, file):
        """Those of the module that the file lies in first."""
        module = file.split("/")[0]
        first = sorted(self.units, key=lambda unit: not module or not unit.startswith(module))
        for unit in first:
            # The sweep of every bit of a folder has a test of its own.
            yield f"unit {unit}", [f"tests/{unit}_test", "--no-version", "--test-suite-exclude=sweep"]
        for name in sorted(self.fuzz, key=lambda name: self.fuzz[name] != module):
            yield f"fuzz {name[7:]}", [f"tests/fuzz/{name}", "4000", f"{self.source}/tests/fuzz/seeds/{name[7:]}"]
        for name, command in PROGRAMS.items():
            yield name, [part.format(source=self.source) for part in command]

    def passes(self, command):
        try:
            done = subprocess.run(command, cwd=self.build, capture_output=True, check=False, timeout=1800)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode in (0, 77)

    def notices(self, file, everything):
        caught = []
        for name, command in self.tests(file):
            if self.only not in name:
                continue
            if not self.passes(command):
                caught.append(name)
                if not everything:
                    break
        return caught


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("text", nargs="?", default="")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--list", type=Path, default=Path(__file__).with_name("mutations.txt"))
    parser.add_argument("--only", default="", metavar="TEST")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    mutations = read_list(options.list, options.text)
    if options.check:
        for one in mutations:
            one.mutated(options.root)
        print(f"{len(mutations)} mutations name a line each")
        return 0 if mutations else 1
    with tempfile.TemporaryDirectory() as scratch:
        tree = Tree(options.root.resolve(), (options.work or Path(scratch)).resolve(), options.only)
        untried = [one for one in mutations if one.file.startswith("train/") and "training" not in tree.units]
        mutations = [one for one in mutations if one not in untried]
        if untried:
            print(f"{len(untried)} mutations of train/ are left out: no LibTorch in {TORCH}")
        tree.compile()
        if sound := tree.notices("", False):
            sys.exit(f"{sound[0]} fails without a mutation")
        missed = 0
        for one in mutations:
            original = (tree.source / one.file).read_text()
            (tree.source / one.file).write_text(one.mutated(tree.source))
            try:
                tree.compile()
                caught = tree.notices(one.file, options.all)
            finally:
                (tree.source / one.file).write_text(original)
            missed += not caught
            print(f"{', '.join(caught) or 'NOTHING'}: {one.file}: {one.old.strip()}", flush=True)
    print(f"{len(mutations)} mutations, {missed} noticed by no test")
    return 1 if missed or not mutations else 0


if __name__ == "__main__":
    sys.exit(main())
