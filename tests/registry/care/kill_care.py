# SPDX-License-Identifier: Apache-2.0
"""Kills `organ fsck`, `repair`, `gc --apply`, `gc --purge --apply` and `takedown` at every call that changes
a file.

    kill_care.py ORGAN_PROGRAM MAKE_TINY_ORGAN [--every N] [--lacking SHIM LACKS]

SHIM is poor_file_system.cc as a library: the same on a file system that lacks what LACKS names.

One uninterrupted run of each under strace counts the calls; then strace kills a run at the n-th of each.
After each kill every object is as it was before or as it is after, each version that was acknowledged is
whole or as damaged as before, the command run again completes, and fsck finds nothing then. Exits 77
without strace.
"""
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

CALLS = ["write", "pwrite64", "fsync", "fdatasync", "rename", "renameat2", "link", "linkat", "unlink",
         "unlinkat", "flock", "ftruncate", "fchmod", "mkdir", "openat", "copy_file_range", "ioctl"]
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
VERSIONS = ["legal/contracts:1.0.0", "legal/contracts:1.1.0"]


def demand(condition, message):
    if not condition:
        raise AssertionError(message)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file()}


class Site:
    def __init__(self, organ, make, folder, lacking):
        self.organ, self.folder = organ, folder
        self.registry, self.mirror = folder / "registry", folder / "mirror"
        self.environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"} | lacking
        subprocess.run([make, folder / "organ"], check=True)
        self.must("key", "generate", folder / "key")
        self.must("registry", "init", "--registry", self.registry, "--key", folder / "key.pub")
        for version in VERSIONS:
            self.must("publish", folder / "organ", version, "--registry", self.registry, "--key",
                      folder / "key.key")
        shutil.copytree(self.registry, self.mirror)
        self.whole = contents(self.registry / "blobs")

    def run(self, *words):
        return subprocess.run([str(word) for word in (self.organ, *words)], env=self.environment,
                              capture_output=True, text=True, check=False)

    def must(self, *words, code=0):
        done = self.run(*words)
        demand(done.returncode == code, f"organ {' '.join(map(str, words))}: exit {done.returncode}: "
                                        f"{done.stdout[-600:]}{done.stderr[-600:]}")
        return done.stdout

    def blob(self, number):
        return sorted((self.registry / "blobs/sha256").iterdir())[number]

    def keep(self):
        self.pristine = self.folder / "pristine"
        shutil.rmtree(self.pristine, ignore_errors=True)
        shutil.copytree(self.registry, self.pristine)

    def reset(self):
        shutil.rmtree(self.registry)
        shutil.rmtree(self.folder / ".config", ignore_errors=True)
        shutil.copytree(self.pristine, self.registry)

    def check_well(self):
        self.must("fsck", self.registry)
        self.must("verify", "--all", "--registry", self.registry)
        listed = json.loads(self.must("list", "--json", "--registry", self.registry))["versions"]
        demand(sorted(f"{one['name']}:{one['version']}" for one in listed) == VERSIONS, "a version is gone")


class Damaged:
    """An object with a changed byte, one cut short, one missing."""
    code = 0

    def __init__(self, site):
        self.site = site
        site.keep()
        site.reset()
        flipped, cut, gone = site.blob(1), site.blob(3), site.blob(5)
        data = bytearray(flipped.read_bytes())
        data[len(data) // 2] ^= 1
        self.damaged = {}
        for path, now in ((flipped, bytes(data)), (cut, cut.read_bytes()[:-3])):
            path.chmod(0o644)
            path.write_bytes(now)
            path.chmod(0o444)
            self.damaged[f"sha256/{path.name}"] = now
        gone.unlink()
        self.damaged[f"sha256/{gone.name}"] = None
        site.keep()


class Fsck(Damaged):
    name, code = "fsck", 4

    def command(self):
        return ["fsck", self.site.registry]

    def judge(self):
        demand(contents(self.site.registry) == contents(self.site.pristine), "fsck changed something")
        self.site.must(*self.command(), code=4)


class Repair(Damaged):
    name = "repair"

    def command(self):
        return ["repair", self.site.registry, "--from", self.site.mirror]

    def judge(self):
        now = {name: data for name, data in contents(self.site.registry / "blobs").items()
               if not name.endswith(".tmp")}
        for name, whole in self.site.whole.items():
            old = self.damaged.get(name, whole)
            demand(now.get(name) in (whole, old), f"{name} is neither old nor whole")
        demand(not now.keys() - self.site.whole.keys(), "an object of no name of ours")
        self.site.must(*self.command())
        kept = [path.read_bytes() for path in (self.site.registry / "organ/quarantine/damaged").iterdir()]
        for data in self.damaged.values():
            demand(data is None or data in kept, "a damaged object was not kept")
        self.site.check_well()


class RepairLog(Repair):
    name = "repair of the log"

    def __init__(self, site):
        self.site, self.damaged = site, {}
        self.log = site.registry / "organ/log"
        self.good = self.log.read_bytes()
        self.bad = self.good[:-9] + b"?" + self.good[-8:]
        self.log.write_bytes(self.bad)
        (site.registry / "organ/quarantine/damaged").mkdir(parents=True)
        site.keep()

    def judge(self):
        demand(self.log.read_bytes() in (self.bad, self.good), "the log is neither as it was nor whole")
        if self.log.read_bytes() == self.bad:
            self.site.must(*self.command())
        demand(self.log.read_bytes() == self.good, "mending the log again did not complete")
        super().judge()


class Collect:
    name, code = "gc --apply", 0
    words = ()
    places = ("blobs/sha256", "organ/quarantine/removed")

    def __init__(self, site):
        self.site = site
        self.orphans = {}
        for text in (b"nobody's", b"nobody's either", b"the third"):
            name = hashlib.sha256(text).hexdigest()
            (site.registry / "blobs/sha256" / name).write_bytes(text)
            self.orphans[name] = text
        site.keep()

    def plan(self):
        return json.loads(self.site.must("gc", self.site.registry, *self.words, "--days", "0", "--json"))

    def command(self):
        return ["gc", self.site.registry, "--apply", self.plan()["token"]]

    def where(self, name):
        return [place for place in self.places if (self.site.registry / place / name).exists()]

    def judge(self):
        demand(self.site.whole.items() <= contents(self.site.registry / "blobs").items(),
               "something that is needed is gone")
        for name, text in self.orphans.items():
            places = self.where(name)
            demand(len(places) == 1, f"an object lies in {places}")
            demand((self.site.registry / places[0] / name).read_bytes() == text, "its bytes changed")
        self.finish()

    def finish(self):
        left = self.plan()
        if left["items"]:
            self.site.must("gc", self.site.registry, "--apply", left["token"])
        demand(not self.plan()["items"], "a second gc did not complete")
        for name in self.orphans:
            demand(self.where(name) == [self.places[1]], "it is not in the quarantine")
        self.site.check_well()


class Purge(Collect):
    name = "gc --purge --apply"
    words = ("--purge",)

    def __init__(self, site):
        super().__init__(site)
        token = json.loads(site.must("gc", site.registry, "--days", "0", "--json"))["token"]
        site.must("gc", site.registry, "--apply", token)
        site.keep()

    def judge(self):
        demand(contents(self.site.registry / "blobs") == self.site.whole, "the objects changed")
        left = self.plan()
        if left["items"]:
            self.site.must("gc", self.site.registry, "--apply", left["token"])
        demand(not any((self.site.registry / "organ/quarantine/removed").iterdir()), "not everything is gone")
        self.site.check_well()


class Takedown:
    """Of the last version that is made of these weights, with a copy in the quarantine."""
    name, code = "takedown", 0

    def __init__(self, site):
        self.site = site
        site.must("takedown", VERSIONS[0], "--reason", "a court", "--registry", site.registry)
        organ = json.loads((site.folder / "organ/organ.json").read_text())
        self.weights = {entry["digest"][7:] for entry in organ["files"] if entry["role"] != "card"}
        blobs, removed = site.registry / "blobs/sha256", site.registry / "organ/quarantine/removed"
        removed.mkdir(parents=True)
        for name in self.weights:
            shutil.copy(blobs / name, removed / name)
        self.whole = contents(site.registry / "blobs")
        site.keep()

    def command(self):
        return ["takedown", VERSIONS[1], "--reason", "a court said so", "--registry", self.site.registry]

    def shown(self):
        return json.loads(self.site.must("show", VERSIONS[1], "--json", "--registry", self.site.registry))

    def judge(self):
        site, now = self.site, contents(self.site.registry / "blobs")
        gone = {f"sha256/{name}" for name in self.weights}
        if self.shown()["taken_down"] is None:
            demand(now == self.whole, "something is gone, and the log does not say why")
            site.must("verify", VERSIONS[1], "--registry", site.registry)
        else:
            demand({name: data for name, data in self.whole.items() if name not in gone}.items() <= now.items(),
                   "something else is gone")
            site.must("verify", VERSIONS[1], "--registry", site.registry, code=5)
        site.must("fsck", site.registry)
        site.must(*self.command())
        now = contents(site.registry / "blobs")
        demand(now == {name: data for name, data in self.whole.items() if name not in gone},
               "run again it took away something else")
        demand(not any((site.registry / "organ/quarantine/removed").iterdir()), "a copy is left")
        demand(self.shown()["taken_down"]["reason"] == "a court said so", "the log does not say it")
        kinds = [entry["kind"] for entry in json.loads(site.must("log", "--json", "--registry", site.registry))["entries"]]
        demand(kinds.count("takedown") == 2, "it is said twice")
        site.must("fsck", site.registry)
        site.must("registry", "rebuild", "--registry", site.registry)


def count_calls(site, case):
    trace = site.folder / "trace"
    command = [str(word) for word in (site.organ, *case.command())]
    done = subprocess.run(["strace", "-f", "-o", trace, "-e", "trace=" + ",".join(CALLS), *command],
                          env=site.environment, check=False, capture_output=True, text=True)
    demand(done.returncode == case.code, f"{case.name}: exit {done.returncode}: {done.stderr}")
    text = trace.read_text()
    counts = {call: len(re.findall(rf"^\d+ +{call}\(", text, re.MULTILINE)) for call in CALLS}
    site.reset()
    return [(call, number) for call, count in counts.items() for number in range(1, count + 1)]


def sweep(site, case, every):
    points, failed = 0, 0
    for call, number in count_calls(site, case)[::every]:
        try:
            command = [str(word) for word in (site.organ, *case.command())]
            done = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                                   f"inject={call}:signal=KILL:when={number}", *command],
                                  env=site.environment, check=False, capture_output=True)
            if done.returncode in KILLED:
                points += 1
                case.judge()
            else:  # its calls were fewer this time
                demand(done.returncode in (case.code, 0), f"exit {done.returncode}: {done.stderr}")
        except Exception as error:  # whatever a look stumbles over is found
            failed += 1
            print(f"{case.name} killed at {call} {number}: {error!r}", flush=True)
        site.reset()
    print(f"{case.name}: {points} kill points, {failed} failed", flush=True)
    return points, failed


def main():
    every = int(sys.argv[sys.argv.index("--every") + 1]) if "--every" in sys.argv else 1
    organ, make = (Path(argument).resolve() for argument in sys.argv[1:3])
    lacking = {}
    if "--lacking" in sys.argv:
        shim, lacks = sys.argv[sys.argv.index("--lacking") + 1:][:2]
        lacking = {"LD_PRELOAD": str(Path(shim).resolve()), "POOR": lacks}
    if not shutil.which("strace"):
        print("skipped: strace is needed", file=sys.stderr)
        return 77
    points = failed = 0
    for kind in (Fsck, Repair, RepairLog, Collect, Purge, Takedown):
        with tempfile.TemporaryDirectory() as scratch:
            site = Site(organ, make, Path(scratch), lacking)
            more = sweep(site, kind(site), every)
        points, failed = points + more[0], failed + more[1]
    print(f"{points} kill points")
    print(f"{points - failed} cases passed, {failed} failed")
    return 1 if failed or points * every < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
