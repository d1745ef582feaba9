# SPDX-License-Identifier: Apache-2.0
"""Everything works on file systems that lack what not all of them have.

    poor_file_system.py ORGAN_PROGRAM SHIM

SHIM is poor_file_system.cc as a library. Every lack alone and all together, under an open umask and
a private one, and with reflinks: the whole way from a model to an installed organ and back gives the
bytes that it gives elsewhere, a taken name stays as it is, nothing temporary is left, and the shim
says that it was asked. Secret keys alone, and what is made of private weights, are refused where
there are no modes, and changes in place where there are no locks. Then a full disk: room is asked for before anything is written.
"""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOOLS = Path(__file__).parent.parent / "tools"
LACKS = ["noreplace", "tmpfile", "links", "clone", "foldersync", "modes", "flock"]


def digests(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(folder.rglob("*")) if p.is_file()}


class Way:
    def __init__(self, organ, shim, lack, umask, folder, model):
        self.organ, self.folder, self.umask = organ, folder, umask
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8",
                    "ORGAN_REGISTRY": str(folder / "registry"), "SOURCE_DATE_EPOCH": "1700000000",
                    "XDG_CONFIG_HOME": str(folder / "config"),
                    "LD_PRELOAD": str(shim), "POOR": lack, "POOR_BELOW": str(folder),
                    "POOR_SEEN": str(folder.parent / f"seen-{folder.name}")}
        # Where there are no modes, keys, and the registry with its own, lie on another disk.
        self.safe = folder.parent / f"safe-{folder.name}" if "modes" in lack else folder
        self.safe.mkdir(exist_ok=True)
        self.findings = []
        shutil.copytree(model, folder / "model")

    def run(self, *words, code=0):
        done = subprocess.run([str(w) for w in (self.organ, *words)], env=self.env, text=True,
                              capture_output=True, check=False, cwd=self.folder, umask=self.umask)
        if done.returncode != code:
            self.findings.append(f"{' '.join(map(str, words))}: exit {done.returncode}, expected "
                                 f"{code}: {done.stderr.strip()[-300:]}")
        return done

    def refused_as_open(self, *words):
        before = sorted(self.folder.rglob("*"))
        if "cannot be made private" not in self.run(*words, code=1).stderr:
            self.findings.append(f"{words}: not said why")
        if sorted(self.folder.rglob("*")) != before:
            self.findings.append(f"{words}: something is left")

    def files(self, name):
        return {n: d for n, d in digests(self.folder / name).items() if ".organ" not in n}

    def go(self):
        """Returns what the organ and the installed models hold."""
        model = self.folder / "model"
        before = digests(model)
        if self.safe != self.folder:
            self.refused_as_open("key", "generate", "k")
            self.refused_as_open("registry", "init")
            self.env["ORGAN_REGISTRY"] = str(self.safe / "registry")
        key = self.safe / "k"
        self.run("key", "generate", key)
        self.run("key", "generate", key, code=1)
        cut = ["extract", "model", "--layers", "1:3", "--name", "a/b", "--organ-version", "1.0.0",
               "--license", "MIT"]
        self.run(*cut, "--out", "o")
        made = digests(self.folder / "o")
        self.run(*cut, "--out", "o", code=1)
        if digests(self.folder / "o") != made:
            self.findings.append("a taken name was written to")
        self.run("sign", "o", "--key", f"{key}.key")
        self.run("registry", "init", "--key", f"{key}.pub")
        self.run("publish", "o")
        self.run("verify", "--all")
        self.run("install", "a/b:1.0.0", "--into", "model", "--at", "0", "--out", "copy")
        self.run("install", "o", "--into", "model", "--at", "0", "--key", f"{key}.pub", "--out",
                 "copy", code=1)
        self.run("install", "a/b:1.0.0", "--into", "model", "--at", "0")
        installed = digests(model)
        if self.files("copy") != self.files("model"):
            self.findings.append("the copy is not what was installed in place")
        self.run("install", "o", "--into", "copy", "--at", "1", "--key", f"{key}.pub", "--out",
                 "second")
        self.run("uninstall", "second")
        if self.files("second") != self.files("copy"):
            self.findings.append("uninstall did not give back the copy of a copy")
        self.run("uninstall", "model")
        if digests(model) != before:
            self.findings.append("uninstall did not give back the model")
        left = [str(p.relative_to(self.folder)) for p in self.folder.rglob("*")
                if p.name.endswith(".tmp") or ".unfinished." in p.name]
        if left:
            self.findings.append(f"left over: {left}")
        return made, {n: d for n, d in installed.items() if n.endswith(".safetensors")}


def no_room(organ, folder, model):
    """On a file system of one page: exit 1 before the first byte, nothing is there."""
    disk = folder / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk],
                                           capture_output=True, check=False).returncode != 0:
        return None
    try:
        done = subprocess.run([organ, "extract", model, "--layers", "0:4", "--out", disk / "o"],
                              capture_output=True, text=True, check=False)
        findings = []
        if done.returncode != 1 or "are free" not in done.stderr:
            findings.append(f"no room: exit {done.returncode}: {done.stderr.strip()}")
        if list(disk.iterdir()):
            findings.append(f"no room: something is left: {list(disk.iterdir())}")
        return findings
    finally:
        subprocess.run(["umount", disk], check=True)


def without_locks(organ, shim, folder, model):
    """Nothing keeps two commands apart: in place nothing is changed or left, a new folder is made all the same."""
    way = Way(organ, shim, "", 0o022, folder, model)
    way.run("extract", "model", "--layers", "1:3", "--out", "o")
    install = ["install", "o", "--into", "model", "--at", "0", "--allow-unsigned"]
    way.run(*install)
    installed = digests(folder / "model")
    way.env |= {"POOR": "nolocks", "POOR_BELOW": str(folder)}

    def refused(*words):
        before = sorted(folder.rglob("*")), digests(folder)
        said = way.run(*words, code=1).stderr
        if "has no locks" not in said or "hint: " not in said:
            way.findings.append(f"{words[0]}: not said why: {said}")
        if (sorted(folder.rglob("*")), digests(folder)) != before:
            way.findings.append(f"{words[0]}: something is left")

    refused("uninstall", "model")
    refused(*install)
    way.run(*install, "--out", "copy")
    if digests(folder / "model") != installed:
        way.findings.append("the model is another one")
    shutil.rmtree(folder / "model/.organ")
    refused(*install)
    if "nolocks" not in Path(way.env["POOR_SEEN"]).read_text().split():
        way.findings.append("was not asked about locks")
    return way.findings


def private_source(organ, shim, folder, model):
    """What private weights on another disk give has no place where everything is open."""
    way = Way(organ, shim, "", 0o022, folder, model)
    (folder / "model").chmod(0o700)
    for words in (["extract", "model", "--layers", "1:3"],
                  ["install", "o", "--into", "model", "--at", "0", "--allow-unsigned"]):
        way.run("extract", "model", "--layers", "1:3", "--out", "o")
        for place, code in (("here", 0), ("there", 1)):
            way.env |= {"POOR": "modes", "POOR_BELOW": str(folder / "there")}
            (folder / place).mkdir(exist_ok=True)
            done = way.run(*words, "--out", f"{place}/out", code=code)
            if code and "cannot be made private" not in done.stderr:
                way.findings.append(f"{words[0]}: {done.stderr}")
            if code and list((folder / place).iterdir()):
                way.findings.append(f"{words[0]}: something is left")
            shutil.rmtree(folder / place)
        shutil.rmtree(folder / "o")
    return way.findings


def main():
    organ, shim = (Path(a).resolve() for a in sys.argv[1:3])
    failed, expected = 0, None
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        subprocess.run([sys.executable, TOOLS / "make_tiny_model.py", scratch / "model",
                        "--layers", "4", "--shards", "2"], check=True, stdout=subprocess.DEVNULL)
        ways = [(lack, 0o022) for lack in ["", *LACKS, ",".join(LACKS), "cow", "cow,links"]]
        ways += [(lack, 0o077) for lack in ("", "modes", ",".join(LACKS))]
        for lack, umask in ways:
            folder = scratch / f"with-{lack.replace(',', '-')}-{umask:o}"
            folder.mkdir()
            way = Way(organ, shim, lack, umask, folder, scratch / "model")
            made = way.go()
            expected = expected or made
            if made != expected:
                way.findings.append("other bytes than elsewhere")
            seen = Path(way.env["POOR_SEEN"])
            unseen = set(filter(None, lack.split(","))) - set(
                seen.read_text().split() if seen.exists() else [])
            if unseen:
                way.findings.append(f"was not asked about {sorted(unseen)}")
            for finding in way.findings:
                print(f"without {lack or 'nothing'}, umask {umask:03o}: {finding}")
            failed += bool(way.findings)
        for name in ("private", "unlocked"):
            (scratch / name).mkdir()
        others = [private_source(organ, shim, scratch / "private", scratch / "model"),
                  without_locks(organ, shim, scratch / "unlocked", scratch / "model"),
                  no_room(organ, scratch, scratch / "model")]
        if others[-1] is None:
            print("no tmpfs can be mounted here: a full disk is not tried")
            others.pop()
        for findings in others:
            for finding in findings:
                print(finding)
            failed += bool(findings)
    print(f"{len(ways) + len(others) - failed} cases passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
