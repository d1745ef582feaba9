# SPDX-License-Identifier: Apache-2.0
"""Kills `organ install` and `organ uninstall` at every call that changes files.

usage: kill_install.py ORGAN [--every N] [--lacking SHIM WHAT]

strace delivers SIGKILL at the n-th call of one kind, for every n until the command ends by itself.
After each kill a command that only reads changes nothing, and says so while the change is half done;
`organ install --continue` recovers the folder, and then every file of the model must be what
it was or what it was to become, together with the receipt that belongs to it; an installed state
must go back to the old one by `organ uninstall`. The same is demanded when the n-th call fails for
want of space instead. --every N looks at every N-th openat only. SHIM is poor_file_system.cc as a
library: the same on a file system that lacks WHAT.
"""
import argparse
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from tiny_model import write_model  # noqa: E402

CALLS = ["write", "pwrite64", "fsync", "rename", "renameat2", "linkat", "unlink", "unlinkat",
         "mkdir", "rmdir", "ftruncate", "copy_file_range", "openat"]
KILLED = 137
PENDING = 7


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.iterdir()) if path.is_file()}


def everything(folder):
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
            for path in sorted(folder.rglob("*"))}


def receipts(folder):
    return sorted(path.name for path in (folder / ".organ" / "receipts").glob("*.json"))


class Sweep:
    def __init__(self, organ, work, every, lacking):
        self.organ, self.work, self.every = organ, work, every
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(work)}
        if lacking:
            self.environment |= {"LD_PRELOAD": lacking[0], "POOR": lacking[1]}
        self.points, self.completed, self.problems = 0, 0, []
        self.model = write_model(work / "model")
        self.organ_folder = work / "cut"
        self.run("extract", self.model, "--layers", "0:2", "--out", self.organ_folder)
        self.old = digests(self.model)
        self.installed = work / "installed"
        shutil.copytree(self.model, self.installed)
        self.run(*self.install(self.installed))
        self.new = digests(self.installed)
        assert self.old != self.new

    def install(self, folder, *more):
        return ["install", self.organ_folder, "--into", folder, "--at", "1", "--allow-unsigned",
                *more]

    def run(self, *arguments, wrapper=()):
        command = [*wrapper, self.organ, *arguments]
        return subprocess.run([str(part) for part in command], capture_output=True, text=True,
                              env=self.environment)

    def expect(self, result, what, point):
        if result.returncode != 0:
            self.problems.append(f"{point}: {what}: exit {result.returncode}: {result.stderr}")
        return result.returncode == 0

    def look(self, folder, point):
        """A command that only reads changes nothing, and refuses while a change is half done."""
        before = everything(folder)
        check = self.run("check", self.organ_folder, "--recipient", folder, "--at", "1")
        decided = (folder / ".organ" / "journal").exists()
        if check.returncode != (PENDING if decided else 0):
            self.problems.append(f"{point}: check: exit {check.returncode}: {check.stderr}")
        elif everything(folder) != before:
            self.problems.append(f"{point}: check changed the folder")
        else:
            return True
        return False

    def judge(self, folder, point):
        """Looks, recovers, then compares with the two allowed states."""
        if not self.look(folder, point):
            return
        recovered = self.run("install", "--continue", "--into", folder)
        if not self.expect(recovered, "install --continue", point):
            return
        now, listed = digests(folder), receipts(folder)
        leftovers = sorted(path.name for path in (folder / ".organ").iterdir()
                           ) if (folder / ".organ").exists() else []
        if "journal" in leftovers or "stage" in leftovers:
            self.problems.append(f"{point}: recovery left {leftovers}")
        if now == self.new and listed == ["0001.json"]:
            self.completed += 1
            if self.expect(self.run("uninstall", folder), "uninstall", point):
                if digests(folder) != self.old:
                    self.problems.append(f"{point}: uninstall does not restore the old state")
        elif now == self.old and listed == []:
            if self.expect(self.run(*self.install(folder)), "install", point):
                if digests(folder) != self.new:
                    self.problems.append(f"{point}: a second installation differs")
        else:
            self.problems.append(f"{point}: neither old nor new state, receipts {listed}")

    def sweep(self, name, template, arguments, judge):
        for call in CALLS:
            step = self.every if call == "openat" else 1
            when = 1
            while True:
                folder = self.work / "victim"
                shutil.rmtree(folder, ignore_errors=True)
                shutil.rmtree(self.work / "out", ignore_errors=True)
                shutil.copytree(template, folder)
                strace = ["strace", "-f", "-qq", "-o", self.work / "trace", "-e", f"trace={call}",
                          "-e", f"inject={call}:signal=KILL:when={when}"]
                result = self.run(*arguments(folder), wrapper=strace)
                if result.returncode not in (KILLED, -9):
                    self.expect(result, "undisturbed run", f"{name} {call} {when}")
                    break
                self.points += 1
                judge(folder, f"{name} killed at {call} {when}")
                when += step

    def fail_calls(self, name, template, arguments):
        """Every call but openat (which loads the program) fails once with ENOSPC."""
        for call in CALLS[:-1]:
            when = 1
            while True:
                folder = self.work / "victim"
                shutil.rmtree(folder, ignore_errors=True)
                shutil.copytree(template, folder)
                trace = self.work / "trace"
                strace = ["strace", "-f", "-qq", "-o", trace, "-e", f"trace={call}",
                          "-e", f"inject={call}:error=ENOSPC:when={when}"]
                result = self.run(*arguments(folder), wrapper=strace)
                if "(INJECTED)" not in trace.read_text():
                    break
                point = f"{name} without space at {call} {when}"
                if result.returncode not in (0, 1):
                    self.problems.append(f"{point}: exit {result.returncode}: {result.stderr}")
                self.points += 1
                self.judge(folder, point)
                when += 1

    def judge_beside(self, folder, point):
        if digests(folder) != self.old:
            self.problems.append(f"{point}: the recipient changed")
        out = self.work / "out"
        if out.exists():
            self.completed += 1
            if digests(out) != self.new or receipts(out) != ["0001.json"]:
                self.problems.append(f"{point}: a half-built folder is visible")
        for leftover in self.work.glob(".out.unfinished.*"):
            shutil.rmtree(leftover)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("organ", type=pathlib.Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--lacking", nargs=2, default=[])
    arguments = parser.parse_args()
    if shutil.which("strace") is None:
        print("skipped: strace is not installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as work:
        sweep = Sweep(arguments.organ.resolve(), pathlib.Path(work), arguments.every,
                      arguments.lacking)
        probe = sweep.run("--version", wrapper=["strace", "-qq", "-o", sweep.work / "trace"])
        if probe.returncode != 0:
            print("skipped: strace may not trace here:", probe.stderr.strip())
            sys.exit(77)
        sweep.sweep("install", sweep.model, sweep.install, sweep.judge)
        sweep.sweep("uninstall", sweep.installed, lambda folder: ["uninstall", folder],
                    sweep.judge)
        sweep.sweep("install --out", sweep.model,
                    lambda folder: sweep.install(folder, "--out", sweep.work / "out"),
                    sweep.judge_beside)
        killed = sweep.points
        sweep.fail_calls("install", sweep.model, sweep.install)
        sweep.fail_calls("uninstall", sweep.installed, lambda folder: ["uninstall", folder])
    print(f"{killed} kill points, {sweep.points - killed} failing calls, "
          f"{sweep.completed} of them after the decision, {len(sweep.problems)} problems")
    for problem in sweep.problems[:20]:
        print(problem)
    sys.exit(1 if sweep.problems or killed < 50 else 0)


if __name__ == "__main__":
    main()
