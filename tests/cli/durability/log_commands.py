# SPDX-License-Identifier: Apache-2.0
"""The commands of `organ log` that claim durability, as commands.py has the others."""
import json

from commands import NEW, OLD, Publish, demand


class OfLog(Publish):
    def root(self, folder):
        return json.loads(self.must(folder, "log", "root", "--json", "--registry", "registry"))["root"]

    def goes_on(self, folder):
        """The log is good, and takes another version."""
        self.must(folder, "log", "verify", "--registry", "registry")
        self.must(folder, "publish", "cut", NEW, "--key", "k.key", "--registry", "registry")
        demand(self.versions(folder) == [OLD, NEW], "publishing did not go on")
        self.must(folder, "verify", "--all", "--registry", "registry")


class Rotate(OfLog):
    name = "log root --rotate"
    arguments = ("log", "root", "--rotate", "--registry", "registry")

    def judge(self, folder, finished):
        found = self.root(folder)["version"]
        demand(found in (1, 2), f"neither the old nor the new root: {found}")
        demand(found == 2 or not finished, "the finished rotation is undone")
        self.goes_on(folder)
        # An announced line without its checkpoint was taken in.
        now = self.root(folder)["version"]
        demand(now in (found, 2), f"root {found} became {now}")
        # A key that was made, and not named, waits until somebody says that it need not.
        self.must(folder, *self.arguments, "--discard-next")
        demand(self.root(folder)["version"] == now + 1, "rotating again did nothing")
        demand(not (folder / "registry/organ/log.key.next").exists(), "the next key still waits")
        self.must(folder, "log", "verify", "--registry", "registry")


class Cosign(OfLog):
    name = "log cosign"
    arguments = ("log", "cosign", "registry", "--key", "w1.key")

    def prepare(self, home):
        super().prepare(home)
        self.must(home, "key", "generate", "w1", "--for", "witness", "--name", "w1.example.org")
        self.must(home, "log", "root", "--witness", (home / "w1.vkey").read_text().strip(), "--registry",
                  "registry")

    def judge(self, folder, finished):
        checked = json.loads(self.must(folder, "log", "verify", "--json", "--registry", "registry"))
        seen = checked["witnesses"]
        demand(seen or not finished, "the finished cosignature is gone")
        demand(all(one["problem"] is None for one in seen), f"half a cosignature is left: {seen}")
        self.goes_on(folder)
        self.must(folder, *self.arguments)


class Renew(OfLog):
    name = "log renew"
    arguments = ("log", "renew", "--registry", "registry")

    def judge(self, folder, finished):
        self.goes_on(folder)
        self.must(folder, *self.arguments)
        self.must(folder, "log", "verify", "--registry", "registry")
