# SPDX-License-Identifier: Apache-2.0
"""Kills `organ publish` at every call that changes a file, or at every N-th, then asks what is left.

    kill_publish.py ORGAN_PROGRAM MAKE_TINY_ORGAN [--every N] [--lacking SHIM LACKS]

SHIM is poor_file_system.cc as a library: the same on a file system that lacks what LACKS names.

One uninterrupted run under strace counts the calls; then strace kills a run at the n-th of each.
After each kill the registry must hold the old or the new state, verify clean, rebuild to the same
catalog, keep no temporary file, and take the same publish again. Exits 77 without strace.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from every_nth import every_nth  # noqa: E402

CALLS = ["write", "pwrite64", "fsync", "fdatasync", "rename", "renameat2", "link", "linkat",
         "unlink", "unlinkat", "flock", "ftruncate", "fchmod", "mkdir", "openat", "copy_file_range", "ioctl"]
OLD = "legal/contracts:1.0.0"
NEW = "legal/contracts:1.1.0"


class Sweep:
    def __init__(self, organ, make, folder, lacking):
        self.organ, self.folder = organ, folder
        self.registry = folder / "registry"
        self.looked = 0
        self.home = {"HOME": str(folder), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        if lacking:
            self.home |= {"LD_PRELOAD": lacking[0], "POOR": lacking[1],
                          "POOR_SEEN": str(folder / "seen")}
        subprocess.run([make, folder / "organ"], check=True)
        self.run("key", "generate", folder / "key")
        self.run("registry", "init", "--key", folder / "key.pub")
        self.publish(OLD)
        if lacking:
            unseen = set(lacking[1].split(",")) - set((folder / "seen").read_text().split())
            if unseen:
                raise AssertionError(f"the shim was not asked about {sorted(unseen)}")
            del self.home["POOR_SEEN"]  # its writes are none of organ's
        self.pristine = folder / "pristine"
        shutil.copytree(self.registry, self.pristine)

    def command(self, *arguments):
        return [str(a) for a in (self.organ, *arguments, "--registry", self.registry)]

    def run(self, *arguments):
        done = subprocess.run(self.command(*arguments), env=self.home, capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"organ {' '.join(map(str, arguments))} gave {done.returncode}: "
                                 f"{done.stdout[-800:]}{done.stderr}")
        return done.stdout

    def publish_command(self, reference):
        return self.command("publish", self.folder / "organ", reference, "--key",
                            self.folder / "key.key", "--quiet")

    def publish(self, reference):
        subprocess.run(self.publish_command(reference), env=self.home, check=True,
                       stdout=subprocess.DEVNULL)

    def reset(self):
        shutil.rmtree(self.registry)
        shutil.rmtree(self.folder / ".config")  # with what was seen of the registry since
        shutil.copytree(self.pristine, self.registry)

    def count_calls(self):
        """How often an uninterrupted publish makes each call."""
        trace = self.folder / "trace"
        subprocess.run(["strace", "-f", "-o", trace, "-e", "trace=" + ",".join(CALLS),
                        *self.publish_command(NEW)], env=self.home, check=True,
                       stdout=subprocess.DEVNULL)
        text = trace.read_text()
        counts = {call: len(re.findall(rf"^\d+ +{call}\(", text, re.MULTILINE)) for call in CALLS}
        self.reset()
        return {call: n for call, n in counts.items() if n}

    def dump(self):
        """All rows of the catalog that have a meaning, as the sqlite3 shell prints them."""
        tables = ["state", "versions", "files", "tensors", "architecture_fields", "lineage",
                  "evaluations", "signatures", "aliases"]
        queries = "".join(f"SELECT * FROM {table} ORDER BY 1, 2;" for table in tables)
        return subprocess.run(["sqlite3", self.registry / "organ/catalog.db", queries],
                              capture_output=True, text=True, check=True).stdout

    def versions(self):
        listed = json.loads(self.run("list", "--json"))["versions"]
        return sorted(f"{v['name']}:{v['version']}" for v in listed)

    def kill_at(self, call, number):
        """Returns whether the kill struck."""
        done = subprocess.run(
            ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e",
             f"inject={call}:signal=KILL:when={number}", *self.publish_command(NEW)],
            env=self.home, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return done.returncode != 0

    def check_state(self):
        before = self.versions()
        if before not in ([OLD], [OLD, NEW]):
            raise AssertionError(f"neither the old nor the new state: {before}")
        self.run("verify", "--all")
        # The next writer completes what is missing, or a rebuild does.
        self.looked += 1
        if self.looked % 2:
            self.run("registry", "rebuild")
            # An announced line without its checkpoint is taken in.
            if self.versions() not in (before, [OLD, NEW]):
                raise AssertionError(f"rebuild gives {self.versions()}")
        self.publish(NEW)
        if self.versions() != [OLD, NEW]:
            raise AssertionError("publishing again did not complete")
        self.run("verify", "--all")
        dump = self.dump()
        self.run("registry", "rebuild")
        if self.dump() != dump:
            raise AssertionError("rebuild gives another catalog")
        left = [p for p in self.registry.rglob("*") if p.name.endswith(".tmp")]
        left += list((self.registry / "organ/tmp").iterdir())
        if left:
            raise AssertionError(f"temporary files are left: {left}")
        return before == [OLD, NEW]


def points_of(counts, every):
    """Those of all calls in a row, so that a call made once has its turn as others have."""
    return every_nth([(call, number) for call, count in counts.items() for number in range(1, count + 1)], every)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("organ", type=Path)
    parser.add_argument("make", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--lacking", nargs=2, default=[])
    arguments = parser.parse_args()
    lacking = [str(Path(arguments.lacking[0]).resolve()), arguments.lacking[1]] if arguments.lacking else []
    if not shutil.which("strace") or not shutil.which("sqlite3"):
        print("skipped: strace and sqlite3 are needed", file=sys.stderr)
        return 77
    points = new_states = failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        sweep = Sweep(arguments.organ.resolve(), arguments.make.resolve(), Path(scratch), lacking)
        for call, number in points_of(sweep.count_calls(), arguments.every):
            if not sweep.kill_at(call, number):
                sweep.reset()
                continue
            points += 1
            try:
                new_states += sweep.check_state()
            except Exception as error:  # whatever a look stumbles over is found
                failed += 1
                print(f"killed at {call} {number}: {error!r}", flush=True)
            sweep.reset()
    print(f"{points} kill points: {points - new_states} old states, {new_states} new states")
    print(f"{points - failed} cases passed, {failed} failed")
    return 1 if failed or points * arguments.every < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
