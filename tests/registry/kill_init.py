# SPDX-License-Identifier: Apache-2.0
"""Kills `organ registry init` at every call that changes a folder, or at every N-th, then asks what is left.

    kill_init.py ORGAN_PROGRAM [--every N]

In a new folder and in an empty one that somebody prepared. After each kill the folder is either a
registry, or `registry init` makes it one; the prepared folder is the one it was. Then two at once:
one registry, one refusal. Exits 77 without strace.
"""
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from kill_publish import points_of

CALLS = ["pwrite64", "rename", "renameat2", "link", "linkat", "unlink", "unlinkat", "rmdir", "mkdir"]
ENTRIES = {"blobs", "index.json", "oci-layout", "organ"}


class Sweep:
    def __init__(self, organ, folder, prepared):
        self.organ, self.folder, self.prepared = organ, folder, prepared
        self.registry = folder / "registry"
        self.home = {"HOME": str(folder), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        self.run("key", "generate", folder / "key")

    def command(self, *words):
        return [str(w) for w in (self.organ, *words, "--registry", self.registry)]

    def init(self):
        return self.command("registry", "init", "--key", self.folder / "key.pub", "--quiet")

    def run(self, *words):
        done = subprocess.run(self.command(*words), env=self.home, capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            raise AssertionError(f"organ {' '.join(map(str, words))} gave {done.returncode}: "
                                 f"{done.stdout[-500:]}{done.stderr}")

    def facts(self):
        info = self.registry.stat()
        return info.st_ino, stat.S_IMODE(info.st_mode), info.st_gid

    def reset(self):
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
        if self.prepared:
            self.registry.mkdir()
            self.registry.chmod(0o2750)

    def count_calls(self):
        self.reset()
        trace = self.folder / "trace"
        subprocess.run(["strace", "-f", "-o", trace, "-e", "trace=" + ",".join(CALLS),
                        *self.init()], env=self.home, check=True)
        text = trace.read_text()
        counts = {call: len(re.findall(rf"^\d+ +{call}\(", text, re.MULTILINE)) for call in CALLS}
        return {call: n for call, n in counts.items() if n}

    def kill_at(self, call, number):
        """Returns whether a kill struck."""
        done = subprocess.run(
            ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e",
             f"inject={call}:signal=KILL:when={number}", *self.init()], env=self.home, check=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return done.returncode != 0

    def check_state(self, before):
        """Returns whether it was a registry already."""
        made = (self.registry / "oci-layout").exists()
        if not made:
            self.run("registry", "init", "--key", self.folder / "key.pub")
        self.run("list")
        self.run("registry", "rebuild")
        if before and self.facts() != before:
            raise AssertionError(f"the prepared folder was {before}, is {self.facts()}")
        names = {path.name for path in self.registry.iterdir()}
        strange = {n for n in names - ENTRIES if not (made and n.startswith(".unfinished."))}
        if strange or not ENTRIES <= names:
            raise AssertionError(f"it holds {sorted(names)}")
        return made

    def sweep(self, every):
        points = made = failed = 0
        for call, number in points_of(self.count_calls(), every):
            self.reset()
            before = self.facts() if self.prepared else None
            if not self.kill_at(call, number):
                continue
            points += 1
            try:
                made += self.check_state(before)
            except Exception as error:  # whatever a look stumbles over is found
                failed += 1
                print(f"killed at {call} {number}: {error!r}", flush=True)
        return points, made, failed

    def two_at_once(self, rounds=10):
        """Whoever comes second is told so, and the registry is whole."""
        failed = 0
        for _ in range(rounds):
            self.reset()
            both = [subprocess.Popen(self.init(), env=self.home, stderr=subprocess.PIPE, text=True)
                    for _ in range(2)]
            said = [one.communicate()[1] for one in both]
            codes = sorted(one.returncode for one in both)
            try:
                if codes[0] != 0 or codes[1] not in (1, 6, 7):
                    raise AssertionError(f"exit codes {codes}")
                self.run("registry", "rebuild")
                names = {path.name for path in self.registry.iterdir()}
                if names != ENTRIES:
                    raise AssertionError(f"it holds {sorted(names)}")
            except Exception as error:  # whatever a look stumbles over is found
                failed += 1
                print(f"two at once: {error!r}: {said}", flush=True)
        return failed


def main():
    organ = Path(sys.argv[1]).resolve()
    every = int(sys.argv[sys.argv.index("--every") + 1]) if "--every" in sys.argv else 1
    if not shutil.which("strace"):
        print("skipped: strace is needed", file=sys.stderr)
        return 77
    total = failures = 0
    for prepared in (False, True):
        with tempfile.TemporaryDirectory() as scratch:
            sweep = Sweep(organ, Path(scratch), prepared)
            points, made, failed = sweep.sweep(every)
            failed += sweep.two_at_once()
            what = "in a prepared folder" if prepared else "in a new folder"
            print(f"{what}: {points} kill points, {made} of them registries")
            total += points
            failures += failed
    print(f"{total - failures} cases passed, {failures} failed")
    return 1 if failures or total * every < 60 else 0


if __name__ == "__main__":
    sys.exit(main())
