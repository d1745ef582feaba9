# SPDX-License-Identifier: Apache-2.0
"""The commands that look after a registry: fsck, repair, gc, takedown."""
import hashlib
import json
import shutil

from commands import NEW, OLD, Publish, demand, files

ORPHANS = {hashlib.sha256(text).hexdigest(): text for text in (b"nobody's", b"nobody's either")}


class Fsck(Publish):
    """It writes nothing that could be lost."""
    name = "fsck"
    arguments = ("fsck", "registry")
    writes = False

    def prepare(self, home):
        super().prepare(home)
        self.must(home, *Publish.arguments)
        self.before = files(home / "registry")

    def judge(self, folder, finished):
        demand(files(folder / "registry") == self.before, "fsck changed the registry")
        self.must(folder, *self.arguments)

    def check_well(self, folder):
        self.must(folder, "fsck", "registry")
        self.must(folder, "verify", "--all", "--registry", "registry")
        demand(self.versions(folder) == [OLD, NEW], "a published version is gone")


class Repair(Fsck):
    name = "repair"
    arguments = ("repair", "registry", "--from", "mirror")
    writes = True

    def prepare(self, home):
        super().prepare(home)
        shutil.copytree(home / "registry", home / "mirror")
        blobs = sorted((home / "registry/blobs/sha256").iterdir())
        self.whole = files(home / "registry/blobs")
        data = bytearray(blobs[2].read_bytes())
        data[len(data) // 2] ^= 1
        blobs[2].chmod(0o644)
        blobs[2].write_bytes(bytes(data))
        blobs[2].chmod(0o444)
        blobs[4].unlink()
        self.damaged = {f"sha256/{blobs[2].name}": bytes(data), f"sha256/{blobs[4].name}": None}

    def judge(self, folder, finished):
        now = files(folder / "registry/blobs")
        for name, whole in self.whole.items():
            old = whole if finished else self.damaged.get(name, whole)
            demand(now.get(name) in (whole, old), f"{name} is neither as it was nor whole")
        self.must(folder, *self.arguments)
        demand(files(folder / "registry/blobs") == self.whole, "mending again did not complete")
        kept = files(folder / "registry/organ/quarantine/damaged").values()
        demand(all(data is None or data in kept for data in self.damaged.values()),
               "the damaged object was not kept")
        self.check_well(folder)


class Collect(Fsck):
    name = "gc --apply"
    writes = True
    words = ()
    there = "organ/quarantine/removed"

    def prepare(self, home):
        super().prepare(home)
        self.whole = files(home / "registry/blobs")
        for name, text in ORPHANS.items():
            (home / "registry/blobs/sha256" / name).write_bytes(text)

    def ready(self, folder):
        self.arguments = ("gc", "registry", "--apply", self.plan(folder)["token"])

    def plan(self, folder):
        return json.loads(self.must(folder, "gc", "registry", *self.words, "--days", "0", "--json"))

    def judge(self, folder, finished):
        demand(self.whole.items() <= files(folder / "registry/blobs").items(),
               "something that is needed is gone")
        for name, text in ORPHANS.items():
            places = [path for path in ("blobs/sha256", self.there)
                      if (folder / "registry" / path / name).exists()]
            demand(not finished or places == [self.there], f"taken away, it lies in {places}")
            for place in places:
                demand((folder / "registry" / place / name).read_bytes() == text, "its bytes changed")
        self.again(folder)

    def again(self, folder):
        plan = self.plan(folder)
        if plan["items"]:
            self.must(folder, "gc", "registry", "--apply", plan["token"])
        demand(not self.plan(folder)["items"], "a second gc did not complete")
        self.check_well(folder)


class Purge(Collect):
    name = "gc --purge --apply"
    words = ("--purge",)

    def prepare(self, home):
        super().prepare(home)
        folder = home / "registry" / self.there
        folder.mkdir(parents=True)
        for name in ORPHANS:
            (home / "registry/blobs/sha256" / name).rename(folder / name)

    def judge(self, folder, finished):
        demand(files(folder / "registry/blobs") == self.whole, "the objects changed")
        left = files(folder / "registry" / self.there)
        demand(not left or not finished, "what was deleted is there again")
        self.again(folder)
        demand(not files(folder / "registry" / self.there), "deleting again did not complete")


class Takedown(Fsck):
    """Of the last version that is made of these weights."""
    name = "takedown"
    arguments = ("takedown", NEW, "--reason", "a court", "--registry", "registry")
    writes = True

    def prepare(self, home):
        super().prepare(home)
        self.must(home, "takedown", OLD, "--reason", "a court", "--registry", "registry")
        listed = json.loads(self.must(home, "show", NEW, "--json", "--registry", "registry"))["files"]
        self.weights = {f"sha256/{one['digest'][7:]}" for one in listed if one["role"] != "card"}
        self.whole = files(home / "registry/blobs")
        self.rest = {name: data for name, data in self.whole.items() if name not in self.weights}

    def taken_down(self, folder):
        shown = self.must(folder, "show", NEW, "--json", "--registry", "registry")
        return json.loads(shown)["taken_down"] is not None

    def judge(self, folder, finished):
        now = files(folder / "registry/blobs")
        demand(self.taken_down(folder) or not finished, "what was taken down is not")
        if self.taken_down(folder):
            demand(self.rest.items() <= now.items(), "something else is gone")
            demand(not finished or now == self.rest, "weights that were taken away are here again")
        else:
            demand(now == self.whole, "something is gone, and the log does not say why")
        self.must(folder, "fsck", "registry")
        self.must(folder, *self.arguments)
        demand(files(folder / "registry/blobs") == self.rest, "run again it did not complete")
        self.must(folder, "fsck", "registry")
