# SPDX-License-Identifier: Apache-2.0
"""Lets each call that changes a file fail once, for every command that claims durability.

    failing_calls.py ORGAN [--every N] [CASE…]

strace lets the n-th call of a kind fail: for want of space, quota or descriptors, or by the device. The
command must end with exit code 1 and leave the state before or the one after, or have done what it was
asked nevertheless and end with 0; nothing half-written stays visible, and organ goes on from there.
--every N looks at every N-th call. Exits 77 without strace.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[2] / "support")]
from cases import chosen, copy_of, options, template  # noqa: E402
from commands import Organ  # noqa: E402
from every_nth import every_nth  # noqa: E402

# Which errors a call is given: those that it may give and that programs meet.
ERRORS = {
    "write": ["ENOSPC", "EIO", "EDQUOT"], "pwrite64": ["ENOSPC", "EIO"],
    "copy_file_range": ["EIO", "ENOSPC"], "fsync": ["EIO", "ENOSPC", "EDQUOT"], "fdatasync": ["EIO"],
    "ftruncate": ["EIO", "ENOSPC"], "fchmod": ["EIO"], "rename": ["ENOSPC", "EIO"],
    "renameat": ["ENOSPC", "EIO", "EDQUOT"], "renameat2": ["ENOSPC", "EIO"],
    "link": ["EDQUOT", "EIO"], "linkat": ["ENOSPC", "EIO"], "mkdir": ["ENOSPC", "EDQUOT"],
    "unlink": ["EIO"], "unlinkat": ["EIO"], "rmdir": ["EIO"], "openat": ["EMFILE", "ENOSPC", "EIO"],
}
# What SQLite reads and writes for itself fails as itself; the number of the exit is the same.
REFUSED = 1


def traced(command, folder, environment, trace, *more):
    done = subprocess.run(["strace", "-f", "-qq", "-y", "-o", str(trace), *more, *command], cwd=folder,
                          env=environment, capture_output=True, text=True, check=False)
    return done, trace.read_text()


def points(command, folder, environment, trace):
    """(call, its number among its kind) of all calls that touch the folder, in order."""
    done, text = traced(command, folder, environment, trace, "-e", "trace=" + ",".join(ERRORS))
    if done.returncode != 0:
        raise AssertionError(f"undisturbed run: exit {done.returncode}: {done.stderr}")
    counts, found = {}, []
    for line in text.splitlines():
        match = re.match(r"\d+ +(\w+)\((.*)", line)
        if not match or match[1] not in ERRORS:
            continue
        counts[match[1]] = counts.get(match[1], 0) + 1
        # Loading the program and telling people what was done is no change of the folder.
        path = re.search(r'"(/[^"]*)"', match[2])
        loads = match[1] == "openat" and path and not path[1].startswith(f"{folder}/")
        tells = match[1] == "write" and re.match(r"[12]<", match[2])
        if not loads and not tells:
            found.append((match[1], counts[match[1]]))
    return found


class Sweep:
    def __init__(self, case, scratch, every):
        self.case, self.scratch, self.every = case, scratch, every
        case.calls_fail = True
        self.failed, self.nevertheless, self.problems = 0, 0, []

    def run(self):
        organ, trace = self.case.organ, self.scratch / "trace"
        before = template(self.case, self.scratch)
        victim = copy_of(before, self.scratch / "victim")
        self.case.ready(victim)
        calls = points([organ.program, *self.case.arguments], victim, organ.environment, trace)
        self.case.after(victim)
        jobs = [(call, number, error) for call, number in calls for error in ERRORS[call]]
        for call, number, error in every_nth(jobs, self.every):
            copy_of(before, victim)
            organ.forget()
            self.case.ready(victim)
            done, text = traced([organ.program, *self.case.arguments], victim, organ.environment, trace, "-e", f"trace={call}", "-e",
                                f"inject={call}:error={error}:when={number}")
            if "(INJECTED)" in text:
                self.judge(victim, done, f"{call} {number} fails with {error}")

    def judge(self, victim, done, point):
        self.failed += 1
        self.nevertheless += done.returncode == 0
        try:
            if done.returncode not in (0, REFUSED):
                raise AssertionError(f"exit {done.returncode}: {done.stderr.strip()[-300:]}")
            if done.returncode == REFUSED and not re.search(r"^organ: ", done.stderr, re.MULTILINE):
                raise AssertionError(f"no reason is given: {done.stderr.strip()[-300:]}")
            left = [str(path.relative_to(victim)) for path in victim.rglob("*")
                    if path.name.endswith(".tmp") or ".unfinished." in path.name]
            if left and done.returncode != 0:
                raise AssertionError(f"it leaves {left}")
            self.case.judge(victim, done.returncode == 0)
        except Exception as error:  # whatever a look stumbles over is found
            self.problems.append(f"{self.case.name}, {point}: {error!r}")


def main():
    every, program, names = options(__doc__)
    if shutil.which("strace") is None:
        print("skipped: strace is not installed")
        return 77
    problems, failed = 0, 0
    for kind in chosen(program, names):
        if kind.stopped:
            continue  # its calls do not fail, it is interrupted
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as scratch:
            sweep = Sweep(kind(Organ(program, scratch)), pathlib.Path(scratch), every)
            sweep.run()
        print(f"{kind.name}: {sweep.failed} failing calls, {sweep.nevertheless} without effect, "
              f"{len(sweep.problems)} problems", flush=True)
        for problem in sweep.problems[:20]:
            print("  " + problem, flush=True)
        problems += len(sweep.problems)
        failed += sweep.failed
    print(f"{failed} failing calls, {problems} problems")
    return 1 if problems or failed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
