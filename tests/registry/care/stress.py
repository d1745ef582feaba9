# SPDX-License-Identifier: Apache-2.0
"""Many publishers into one registry, with gc, fsck and readers at once; then as many of one version.

    stress.py ORGAN_PROGRAM MAKE_TINY_ORGAN PUBLISHERS VERSIONS

Each publisher publishes its versions one after the other by the program. Beside them run until they are
done: gc, which plans with no grace time and applies its plan, fsck, verify and readers. At the end every
acknowledged version is there and whole, and nobody raised a false alarm. Then PUBLISHERS processes publish
one version, each with other content: exactly one wins, the others are told so.
"""
import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

BUSY = 7      # a lock, or a plan that is no longer true
TAKEN = 1     # already published with other content


class Stress:
    def __init__(self, organ, make, folder, publishers, versions):
        self.organ, self.folder = organ, folder
        self.publishers, self.versions = publishers, versions
        self.registry = folder / "registry"
        self.environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        self.over = threading.Event()
        self.problems, self.counts = [], {}
        self.lock = threading.Lock()
        subprocess.run([make, folder / "organ"], check=True)
        self.must("registry", "init", "--registry", self.registry)

    def run(self, *words):
        return subprocess.run([str(word) for word in (self.organ, *words)], env=self.environment,
                              capture_output=True, text=True, check=False)

    def must(self, *words):
        done = self.run(*words)
        if done.returncode != 0:
            raise AssertionError(f"organ {' '.join(map(str, words))}: {done.returncode}: {done.stderr}")
        return done.stdout

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def publish(self, publisher):
        done = 0
        for number in range(self.versions):
            reference = f"team{publisher}/organ:1.0.{number}"
            ended = self.run("publish", self.folder / "organ", reference, "--registry", self.registry)
            if ended.returncode == 0:
                done += 1
            else:
                self.problems.append(f"publish {reference}: {ended.returncode}: {ended.stderr}")
        return done

    def until_over(self, name, action):
        while not self.over.is_set():
            problem = action()
            self.count(name)
            if problem:
                self.problems.append(f"{name}: {problem}")

    def one(self, good, *words):
        ended = self.run(*words)
        alarm = ended.returncode not in good
        return f"{ended.returncode}: {ended.stdout[-400:]}{ended.stderr[-400:]}" if alarm else ""

    def collect(self):
        # What a publisher that was killed would leave.
        orphan = os.urandom(32)
        name = hashlib.sha256(orphan).hexdigest()
        (self.registry / "blobs/sha256" / name).write_bytes(orphan)
        plan = self.run("gc", self.registry, "--days", "0", "--json")
        if plan.returncode != 0:
            return f"plan: {plan.returncode}: {plan.stderr}"
        ended = self.run("gc", self.registry, "--apply", json.loads(plan.stdout)["token"])
        if ended.returncode == 0:
            self.count("gc that took away")
        return "" if ended.returncode in (0, BUSY) else f"{ended.returncode}: {ended.stderr}"

    def read(self):
        listed = self.run("list", "--json", "--registry", self.registry)
        if listed.returncode != 0:
            return f"list: {listed.returncode}: {listed.stderr}"
        versions = json.loads(listed.stdout)["versions"]
        if not versions:
            return ""
        newest = versions[-1]
        return self.one((0,), "show", f"{newest['name']}:{newest['version']}", "--registry", self.registry)

    def storm(self):
        beside = [("gc", self.collect), ("readers", self.read),
                  ("fsck", lambda: self.one((0,), "fsck", self.registry)),
                  ("stats", lambda: self.one((0,), "registry", "stats", "--registry", self.registry))]
        threads = [threading.Thread(target=self.until_over, args=one) for one in beside]
        for thread in threads:
            thread.start()
        try:
            with concurrent.futures.ThreadPoolExecutor(self.publishers) as pool:
                acknowledged = sum(pool.map(self.publish, range(self.publishers)))
        finally:
            self.over.set()
            for thread in threads:
                thread.join()
        return acknowledged

    def present(self):
        self.must("fsck", self.registry)
        self.must("verify", "--all", "--allow-unsigned", "--quiet", "--registry", self.registry)
        return len(json.loads(self.must("list", "--json", "--registry", self.registry))["versions"])

    def rivals(self):
        """Of so many contents under one version one wins."""
        folders = []
        for number in range(self.publishers):
            folder = self.folder / f"rival{number}"
            shutil.copytree(self.folder / "organ", folder)
            text = (folder / "organ.json").read_text(encoding="utf-8")
            other = re.sub(r'"description":"[^"]*"', f'"description":"rival {number}"', text, count=1)
            (folder / "organ.json").write_text(other, encoding="utf-8")
            folders.append(folder)

        def enter(folder):
            return self.run("publish", folder, "one/version:1.0.0", "--registry", self.registry)

        with concurrent.futures.ThreadPoolExecutor(self.publishers) as pool:
            ended = list(pool.map(enter, folders))
        codes = [one.returncode for one in ended]
        for one in ended:
            if one.returncode not in (0, TAKEN) or (one.returncode and "already published" not in one.stderr):
                self.problems.append(f"a rival: {one.returncode}: {one.stderr}")
        return codes.count(0)


def main():
    organ, make = (Path(argument).resolve() for argument in sys.argv[1:3])
    publishers, versions = int(sys.argv[3]), int(sys.argv[4])
    with tempfile.TemporaryDirectory() as scratch:
        stress = Stress(organ, make, Path(scratch), publishers, versions)
        acknowledged = stress.storm()
        present = stress.present()
        winners = stress.rivals()
        again = stress.present()
    wanted = publishers * versions
    beside = ", ".join(f"{count} {name}" for name, count in sorted(stress.counts.items()))
    print(f"{present} of {wanted} versions present, {acknowledged} acknowledged; beside them {beside}")
    print(f"{winners} of {publishers} rivals won, {again - present} version came of it")
    for problem in stress.problems[:20]:
        print(problem)
    good = acknowledged == present == wanted and winners == 1 and again == present + 1
    failed = len(stress.problems) + (not good)
    print(f"{wanted + publishers} cases passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
