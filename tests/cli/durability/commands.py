# SPDX-License-Identifier: Apache-2.0
"""Every command that claims durability: what it starts from, what it may leave, what it must leave.

A case is run in a folder of its own by relative paths, so that any state of it can be judged in another
place. judge(folder, finished) raises AssertionError unless the folder holds the state before or the one
after, with organ's own recovery; after a run that said it had succeeded, only the one after.
"""
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "transplant"))
from tiny_model import write_model  # noqa: E402

PENDING = 7
OLD, NEW = "acme/tiny:1.0.0", "acme/tiny:1.1.0"


class Organ:
    def __init__(self, program, home):
        self.program = str(program)
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8",
                            "SOURCE_DATE_EPOCH": "1767225600"}

    def forget(self):
        """What was seen of registries belongs to the state that was put back."""
        shutil.rmtree(Path(self.environment["HOME"]) / ".config", ignore_errors=True)

    def run(self, folder, *arguments):
        return subprocess.run([self.program, *arguments], cwd=folder, env=self.environment,
                              capture_output=True, text=True, check=False)

    def must(self, folder, *arguments):
        done = self.run(folder, *arguments)
        if done.returncode != 0:
            raise AssertionError(f"organ {' '.join(arguments)}: exit {done.returncode}: "
                                 f"{(done.stderr or done.stdout).strip()[-600:]}")
        return done.stdout


def files(folder):
    """Contents by path; {} where there is no folder."""
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.iterdir()) if path.is_file()}


class Case:
    """`home` is where the state before is made; `after` is told of the undisturbed run's folder. `stopped`:
    options of strace that interrupt the run, which then ends with `code`."""
    arguments = ()
    stopped, code = (), 0
    calls_fail = False  # what is only tidied up may stay then
    writes = True       # something that could be lost

    def __init__(self, organ):
        self.organ = organ

    def prepare(self, home):
        write_model(home / "model")

    def ready(self, folder):
        """Before each run in a copy of the state before."""

    def after(self, folder):
        raise NotImplementedError

    def judge(self, folder, finished):
        raise NotImplementedError

    def must(self, folder, *arguments):
        return self.organ.must(folder, *arguments)


def demand(condition, message):
    if not condition:
        raise AssertionError(message)


class Extract(Case):
    name = "extract"
    arguments = ("extract", "model", "--layers", "0:2", "--name", "acme/tiny", "--organ-version", "1.0.0",
                 "--out", "cut")

    def after(self, folder):
        self.cut = files(folder / "cut")

    def judge(self, folder, finished):
        there = (folder / "cut").exists()
        demand(there or not finished, "the finished organ is gone")
        if there:
            demand(files(folder / "cut") == self.cut, "a half-written organ has its name")
        else:
            self.must(folder, *self.arguments)
            demand(files(folder / "cut") == self.cut, "extracted again it differs")


class WithOrgan(Case):
    def prepare(self, home):
        super().prepare(home)
        self.must(home, *Extract.arguments)
        self.must(home, "key", "generate", "k")


class KeyGenerate(Case):
    name = "key generate"
    arguments = ("key", "generate", "fresh")

    def prepare(self, home):
        (home / "empty").mkdir()

    def after(self, folder):
        pass  # every run makes another key

    def judge(self, folder, finished):
        secret, public = folder / "fresh.key", folder / "fresh.pub"
        demand(not finished or (secret.exists() and public.exists()), "the finished key is gone")
        demand(secret.exists() or not public.exists(), "a public key without its private key")
        for path in (secret, public):
            if path.exists():
                demand(path.read_text().startswith("-----BEGIN ") and
                       path.read_text().rstrip().endswith("-----"), f"{path.name} is torn")
        if secret.exists():
            demand(secret.stat().st_mode & 0o077 == 0, "others may read the private key")
        if public.exists():
            self.must(folder, "inspect", "fresh.pub")


class Sign(WithOrgan):
    name = "sign"
    arguments = ("sign", "cut", "--key", "k.key")

    def after(self, folder):
        pass  # a signature has a random part

    def judge(self, folder, finished):
        there = (folder / "cut/model.sig").exists()
        demand(there or not finished, "the finished signature is gone")
        if not there:
            self.must(folder, *self.arguments)
        self.remove_left(folder, finished)
        self.must(folder, "verify", "cut", "--key", "k.pub")

    def remove_left(self, folder, finished):
        for path in (folder / "cut").glob(".*"):
            demand(not finished or self.calls_fail, f"a finished signing leaves {path.name}")
            told = self.organ.run(folder, "verify", "cut", "--key", "k.pub")
            demand(told.returncode and "ended by force left it: remove it" in told.stdout + told.stderr, path.name)
            path.unlink()


class SignAgain(Sign):
    name = "sign --replace"
    arguments = ("sign", "cut", "--key", "new.key", "--replace")

    def prepare(self, home):
        super().prepare(home)
        self.must(home, "key", "generate", "new")
        self.must(home, *Sign.arguments)

    def judge(self, folder, finished):
        demand((folder / "cut/model.sig").exists(), "neither the old nor the new signature is left")
        self.remove_left(folder, finished)
        new = self.organ.run(folder, "verify", "cut", "--key", "new.pub")
        if finished or new.returncode == 0:
            demand(new.returncode == 0, f"the finished signature is gone: {new.stderr}")
        else:
            self.must(folder, "verify", "cut", "--key", "k.pub")
            self.must(folder, *self.arguments)
            self.must(folder, "verify", "cut", "--key", "new.pub")


class RegistryInit(WithOrgan):
    name = "registry init"
    place = "registry"
    arguments = ("registry", "init", "--registry", place, "--key", "k.pub")

    def after(self, folder):
        pass

    def judge(self, folder, finished):
        listed = self.organ.run(folder, "list", "--registry", self.place)
        if finished or listed.returncode == 0:
            demand(listed.returncode == 0, f"the finished registry is gone: {listed.stderr}")
        else:
            self.must(folder, *self.arguments)
        self.must(folder, "publish", "cut", OLD, "--key", "k.key", "--registry", self.place)
        self.must(folder, "verify", "--all", "--registry", self.place)


class RegistryInitInside(RegistryInit):
    name = "registry init in an empty folder"

    def prepare(self, home):
        super().prepare(home)
        (home / "registry").mkdir()


class RegistryInitDeep(RegistryInit):
    name = "registry init in new folders"
    place = "new/deep/registry"
    arguments = ("registry", "init", "--registry", place, "--key", "k.pub")


class Publish(WithOrgan):
    name = "publish"
    arguments = ("publish", "cut", NEW, "--key", "k.key", "--registry", "registry")

    def prepare(self, home):
        super().prepare(home)
        self.must(home, *RegistryInit.arguments)
        self.must(home, "publish", "cut", OLD, "--key", "k.key", "--registry", "registry")

    def after(self, folder):
        pass

    def versions(self, folder):
        listed = json.loads(self.must(folder, "list", "--json", "--registry", "registry"))["versions"]
        return sorted(f"{one['name']}:{one['version']}" for one in listed)

    def judge(self, folder, finished):
        found = self.versions(folder)
        demand(found in ([OLD], [OLD, NEW]), f"neither the old nor the new state: {found}")
        demand(NEW in found or not finished, "the finished version is gone")
        self.must(folder, "verify", "--all", "--registry", "registry")
        self.must(folder, *self.arguments)
        demand(self.versions(folder) == [OLD, NEW], "publishing again did not complete")
        self.must(folder, "verify", "--all", "--registry", "registry")
        self.must(folder, "registry", "index", "--registry", "registry")
        index = json.loads((folder / "registry/index.json").read_text())
        demand(len(index["manifests"]) == 4, "index.json does not list both versions")
        left = [path.name for path in (folder / "registry").rglob("*")
                if path.name.endswith(".tmp") or path.parent.name == "tmp"]
        demand(not left, f"temporary files are left: {left}")


class Rebuild(Publish):
    name = "registry rebuild"
    arguments = ("registry", "rebuild", "--registry", "registry")

    def judge(self, folder, finished):
        demand(self.versions(folder) == [OLD], "a published version is gone")
        self.must(folder, "verify", "--all", "--registry", "registry")
        self.must(folder, *self.arguments)
        demand(self.versions(folder) == [OLD], "rebuilt it lists another state")


class Install(WithOrgan):
    name = "install"
    arguments = ("install", "cut", "--into", "model", "--at", "1", "--allow-unsigned", "--quiet")

    def prepare(self, home):
        super().prepare(home)
        self.old = digests(home / "model")

    def after(self, folder):
        self.new = digests(folder / "model")
        demand(self.new != self.old, "installing changes nothing here")

    def look(self, folder):
        """A command that only reads says whether a change is pending, and changes nothing."""
        before = files(folder / "model")
        checked = self.organ.run(folder, "check", "cut", "--recipient", "model", "--at", "1")
        pending = (folder / "model/.organ/journal").exists()
        demand(checked.returncode == (PENDING if pending else 0),
               f"check: exit {checked.returncode}: {checked.stderr}")
        demand(files(folder / "model") == before, "check changed the folder")

    def state(self, folder):
        """Recovers; whether the organ is in."""
        self.look(folder)
        self.must(folder, "install", "--continue", "--into", "model")
        state = folder / "model/.organ"
        left = [name for name in ("journal", "stage") if (state / name).exists()]
        demand(not left, f"recovery left {left}")
        receipts = sorted(path.name for path in (state / "receipts").glob("*.json"))
        now = digests(folder / "model")
        demand((now, receipts) in ((self.old, []), (self.new, ["0001.json"])),
               f"neither the old nor the new state, receipts {receipts}")
        return now == self.new

    def judge(self, folder, finished):
        installed = self.state(folder)
        demand(installed or not finished, "the finished installation is gone")
        if not installed:
            self.must(folder, *self.arguments)
            demand(digests(folder / "model") == self.new, "a second installation differs")
        self.must(folder, "uninstall", "model", "--quiet")
        demand(digests(folder / "model") == self.old, "uninstall does not restore the old state")


class Uninstall(Install):
    name = "uninstall"
    arguments = ("uninstall", "model", "--quiet")

    def prepare(self, home):
        super().prepare(home)
        self.must(home, *Install.arguments)
        self.new = digests(home / "model")

    def after(self, folder):
        demand(digests(folder / "model") == self.old, "uninstall does not restore the old state")

    def judge(self, folder, finished):
        installed = self.state(folder)
        demand(not installed or not finished, "the finished removal is undone")
        if installed:
            self.must(folder, *self.arguments)
        demand(digests(folder / "model") == self.old, "uninstall does not restore the old state")


class InstallBeside(WithOrgan):
    name = "install --out"
    arguments = (*Install.arguments, "--out", "changed")

    def after(self, folder):
        self.changed = files(folder / "changed")
        self.model = files(folder / "model")

    def said(self, path, data):
        """A receipt without its time, and without those of the recipient's files, which are made anew here."""
        if "/receipts/" not in path:
            return data
        receipt = json.loads(data)
        del receipt["created"]
        for file in receipt["files"]:
            file.pop("metadata", None)
        return receipt

    def judge(self, folder, finished):
        demand(files(folder / "model") == self.model, "the recipient changed")
        there = (folder / "changed").exists()
        demand(there or not finished, "the finished model is gone")
        if not there:
            self.must(folder, *self.arguments)
        now = files(folder / "changed")
        demand(sorted(now) == sorted(self.changed), "a half-built folder has its name")
        for path, data in now.items():
            demand(self.said(path, data) == self.said(path, self.changed[path]), f"{path} is torn")
        self.must(folder, "uninstall", "changed", "--quiet")
        demand(digests(folder / "changed") == digests(folder / "model"), "it cannot be undone")
