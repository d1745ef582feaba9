# SPDX-License-Identifier: Apache-2.0
"""Several users of one group publish into one registry folder.

    shared_group.py ORGAN_PROGRAM MAKE_TINY_ORGAN

The folder was prepared for the group (set-group-id, group-writable). Two users of the group, one with a
umask that closes everything, do all that changes a registry in turns and at once; each sees what the
other did, nobody changes a mode of a file that is somebody else's, and who is not of the group reads
nothing. Exits 77 where it does not run as root, or without setpriv.
"""
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

GROUP = 54321
USERS = {"ada": (54001, 0o022), "bob": (54002, 0o077), "eve": (54003, 0o022)}  # eve is of no group
NAME = "legal/contracts"


def demand(condition, message):
    if not condition:
        raise AssertionError(message)


class Site:
    def __init__(self, organ, make, folder):
        self.folder, self.registry = folder, folder / "registry"
        folder.chmod(0o755)
        self.organ = folder / "organ-program"
        shutil.copy(organ, self.organ)  # the build may lie where only root looks
        self.organ.chmod(0o755)
        subprocess.run([make, folder / "organ"], check=True)
        for path in [folder / "organ", *(folder / "organ").rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        for name, (uid, _) in USERS.items():
            (folder / name).mkdir()
            os.chown(folder / name, uid, uid)
        self.registry.mkdir()
        os.chown(self.registry, USERS["ada"][0], GROUP)
        self.registry.chmod(0o2770)

    def command(self, user, *words, trace=None):
        uid, mask = USERS[user]
        groups = ["--clear-groups"] if user == "eve" else ["--groups", str(GROUP)]
        traced = ["strace", "-f", "-o", str(trace), "-e", "trace=chmod,fchmod,fchmodat,chown,fchown,fchownat"] \
            if trace else []
        return ["setpriv", "--reuid", str(uid), "--regid", str(uid), *groups, "sh", "-c",
                f"umask {mask:03o}; cd {self.folder / user}; exec \"$@\"", "sh", *traced, str(self.organ),
                *(str(word) for word in words), "--registry", str(self.registry)]

    def environment(self, user):
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder / user), "LC_ALL": "C.UTF-8"}

    def run(self, user, *words, **more):
        return subprocess.run(self.command(user, *words, **more), env=self.environment(user),
                              capture_output=True, text=True, check=False)

    def must(self, user, *words, **more):
        done = self.run(user, *words, **more)
        demand(done.returncode == 0, f"{user}: organ {' '.join(map(str, words))}: exit {done.returncode}: "
                                     f"{done.stdout[-400:]}{done.stderr[-400:]}")
        return done.stdout

    def publish(self, user, version):
        return "publish", self.folder / "organ", f"{NAME}:{version}", "--key", self.folder / user / "k.key"

    def look(self):
        """Everything is the group's, as the folder is; the log's key is for it to read, not to write."""
        for path in [self.registry, *self.registry.rglob("*")]:
            info = path.lstat()
            mode = stat.S_IMODE(info.st_mode)
            what = f"{path.relative_to(self.registry)}: mode {mode:04o}, group {info.st_gid}"
            demand(info.st_gid == GROUP, what)
            demand(mode & 0o007 == 0, f"{what}: others may")
            if path.is_dir():
                demand(mode == 0o2770, what)
            elif path.name in ("log.key", "log.key.next"):
                demand(mode == 0o640, what)
            elif path.parent.name == "sha256":
                demand(mode == 0o440, what)
            else:
                demand(mode & 0o060 in (0o060, 0o040), what)
        for name in ("log", "catalog.db", "write.lock"):
            demand((self.registry / "organ" / name).stat().st_mode & 0o060 == 0o060, f"{name} is one user's")


def turns(site):
    site.must("ada", "registry", "init", "--key", site.folder / "ada/k.pub", "--key", site.folder / "bob/k.pub")
    site.look()
    trace = site.folder / "bob" / "trace"
    can_trace = shutil.which("strace") is not None and site.run("bob", "list", trace=trace).returncode == 0
    steps = [("ada", site.publish("ada", "1.0.0")), ("bob", site.publish("bob", "1.1.0")),
             ("ada", ("yank", f"{NAME}:1.1.0", "--reason", "a draft")),
             ("bob", ("yank", f"{NAME}:1.1.0", "--undo")),
             ("ada", ("alias", f"{NAME}@stable", "1.1.0")),
             ("bob", ("registry", "trust", site.folder / "bob/k.pub", "--pattern", "legal/*")),
             ("ada", ("registry", "trust", site.folder / "ada/k.pub", "--pattern", "legal/*")),
             ("ada", ("registry", "policy", "--restore")), ("bob", ("log", "renew")),
             ("bob", ("log", "root", "--rotate")), ("ada", site.publish("ada", "1.2.0")),
             ("ada", ("log", "root", "--rotate")), ("bob", ("registry", "index")),
             ("bob", ("registry", "rebuild")), ("ada", ("registry", "rebuild")),
             ("bob", site.publish("bob", "1.3.0"))]
    for user, words in steps:
        watched = {"trace": trace} if user == "bob" and can_trace else {}
        site.must(user, *words, **watched)
        site.look()
        if watched:
            refused = [line for line in trace.read_text().splitlines() if "EPERM" in line]
            demand(not refused, f"{' '.join(map(str, words))}: {refused[:2]}")
            trace.unlink()
    for user in ("ada", "bob"):
        site.must(user, "log", "verify")
        site.must(user, "verify", "--all")
        site.must(user, "fsck")
    return len(steps)


def at_once(site):
    running = [subprocess.Popen(site.command(user, *site.publish(user, f"2.{number}.{patch}")),
                                env=site.environment(user), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
               for number, user in enumerate(("ada", "bob") * 4) for patch in (0, 1)]
    for one in running:
        _, said = one.communicate()
        demand(one.returncode == 0, f"exit {one.returncode}: {said.decode()[-300:]}")
    listed = json.loads(site.must("ada", "list", "--json"))["versions"]
    demand(len(listed) == 4 + len(running), f"{len(listed)} versions")
    site.look()
    site.must("bob", "verify", "--all")
    return len(running)


def mended(site):
    """What one has damaged the other mends, and takes away."""
    blob = max((site.registry / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    blob.chmod(0o640)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    os.chown(blob, USERS["ada"][0], GROUP)
    blob.chmod(0o440)
    demand(site.run("bob", "fsck").returncode == 4, "the damage is not seen")
    site.must("bob", "repair", "--from", site.folder / "organ")
    site.must("ada", "fsck")
    site.look()
    stray = site.registry / "blobs/sha256" / ("0" * 64)
    stray.write_text("nobody's")
    os.chown(stray, USERS["ada"][0], GROUP)
    stray.chmod(0o440)
    token = json.loads(site.must("bob", "gc", "--days", "0", "--json"))["token"]
    site.must("bob", "gc", "--apply", token)
    demand(not stray.exists(), "it is still there")
    site.look()
    return 2


def strangers(site):
    for words in (("list",), site.publish("ada", "9.0.0")[:3]):
        demand(site.run("eve", *words).returncode != 0, f"eve may {words[0]}")
    # The key is the group's alone while the folder is.
    site.registry.joinpath("organ").chmod(0o2750)
    done = site.run("bob", *site.publish("bob", "9.0.0"))
    demand(done.returncode != 0, "a folder that the group may not write is written")
    site.registry.joinpath("organ").chmod(0o2770)
    key = site.registry / "organ/log.key"
    key.chmod(0o644)
    done = site.run("ada", *site.publish("ada", "9.0.0"))
    demand(done.returncode == 5 and "private key has mode" in done.stderr, done.stderr)
    key.chmod(0o640)
    return 4


def main():
    organ, make = (Path(argument).resolve() for argument in sys.argv[1:3])
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        print("skipped: needs root and setpriv, to be several users", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory() as scratch:
        site = Site(organ, make, Path(scratch))
        for user in ("ada", "bob"):
            subprocess.run(site.command(user, "key", "generate", site.folder / user / "k")[:-2],
                           env=site.environment(user), check=True, capture_output=True)
            (site.folder / user / "k.pub").chmod(0o644)
        passed = turns(site) + at_once(site) + mended(site) + strangers(site)
    print(f"{passed} cases passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
