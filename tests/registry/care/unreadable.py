# SPDX-License-Identifier: Apache-2.0
"""An object that cannot be opened (EACCES) or read (EIO) is damage of that object alone, and a finding
of its version alone; a machine without open files left is none.

    unreadable.py ORGAN_PROGRAM MAKE_TINY_ORGAN

strace makes the calls on one object fail, for each object in turn. Exits 77 without strace.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAME = "legal/contracts:1.0.0"
READS = "read,pread64,readv,preadv,copy_file_range"


class Site:
    def __init__(self, organ, make, folder):
        self.organ, self.registry, self.mirror = organ, folder / "registry", folder / "mirror"
        self.environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        subprocess.run([make, folder / "organ"], check=True)
        self.run("registry", "init", "--registry", self.registry)
        self.run("publish", folder / "organ", NAME, "--registry", self.registry)
        shutil.copytree(self.registry, self.mirror)
        self.objects = sorted((self.registry / "blobs/sha256").iterdir())

    def run(self, *words, failing=(), code=0):
        """`failing`: a path, and the calls on it that fail, as strace says it."""
        trace = []
        if failing:
            path, calls = failing
            trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", path, "-e", f"inject={calls}"]
        done = subprocess.run([str(word) for word in (*trace, self.organ, *words)], env=self.environment,
                              capture_output=True, text=True, check=False, timeout=60)
        wanted = code if isinstance(code, tuple) else (code,)
        assert done.returncode in wanted, (words, failing, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def looked_at(self, failing):
        """It is a finding, and the rest of the registry and of the checks is there all the same."""
        site = ("--registry", self.registry, "--allow-unsigned", "--json")
        said = json.loads(self.run("verify", "--all", *site, failing=failing, code=1))
        assert [item["subject"] for item in said["items"] if not item["ok"]] == [NAME], (failing, said)
        assert len(said["items"]) == 4, said  # and log, catalog, index.json
        strays = [note for note in said["notes"] if "no version refers to" in note]
        assert all(note.endswith("as far as manifests can be read") for note in strays), strays
        found = said["items"][0]["findings"] + said["items"][0]["refusals"]
        assert {one["code"] for one in found} == {"io"}, (failing, found)
        said = json.loads(self.run("ci", NAME, *site, failing=failing, code=1))
        assert not said["ok"] and len(said["checks"]) == 9, (failing, said)

    def unreadable(self, path, calls):
        failing = (path, calls)
        found = json.loads(self.run("fsck", self.registry, "--json", failing=failing, code=4))
        assert [one["digest"][7:] for one in found["objects"]] == [path.name], found
        assert not found["objects"][0]["missing"] and not found["views"], found
        message = found["objects"][0]["message"]
        assert "Permission denied" in message or "Input/output error" in message, message
        self.looked_at(failing)
        # A source that fails so is passed over for the next.
        away = path.with_name("away")
        path.rename(away)
        said = self.run("repair", self.registry, "--from", self.mirror, code=(0, 4),
                        failing=(self.mirror / "blobs/sha256" / path.name, calls))
        # (What follows from organ.json needs no source.)
        assert path.exists() == ("from its organ.json" in said) and f"from {self.mirror}" not in said, said
        away.rename(path)
        good = path.read_bytes()
        # It ends, also where what was mended cannot be read either.
        report = json.loads(self.run("repair", self.registry, "--from", self.mirror, "--json", failing=failing,
                                     code=(0, 4)))
        assert [one["digest"][7:] for one in report["mended"]] == [path.name], report
        assert [one["digest"][7:] for one in report["left"]] in ([], [path.name]), report
        kept = self.registry / "organ/quarantine/damaged" / f"{path.name}.unreadable"
        assert path.read_bytes() == good and kept.read_bytes() == good
        shutil.rmtree(self.registry / "organ/quarantine")
        self.run("fsck", self.registry)

    def stated(self, folder):
        """Nobody knows what an attestation states that cannot be read: that refuses nothing, and hides no other."""
        site = ("--registry", self.registry)
        (folder / "figures.json").write_text(json.dumps({"evaluations": [
            {"subject": "as_transplanted", "position": 0, "protocol": "P0", "context": 64, "stride": 64, "tokens": 4096,
             "nll": 2.5, "perplexity": 12.18, "bits_per_byte": None, "dataset": "law.txt",
             "dataset_digest": "sha256:" + "0" * 63 + "1", "tokenizer_digest": None}]}))
        own = {}
        for who in ("other", "lab"):
            before = set((self.registry / "blobs/sha256").iterdir())
            self.run("key", "generate", folder / who)
            self.run("attest", NAME, "--type", "evaluation", "--key", folder / f"{who}.key",
                     "--from", folder / "figures.json", *site)
            own[who] = sorted(set((self.registry / "blobs/sha256").iterdir()) - before)
        assert len(own["lab"]) == 2, own  # manifest and bundle
        demand = ("verify", NAME, *site, "--allow-unsigned", "--json", "--require", "evaluation:nll<=2.5")
        self.run(*demand, "--attester", folder / "lab.pub")
        self.run(*demand, code=5)  # nobody's word counts
        for path in own["lab"]:
            for calls in ("openat:error=EACCES", f"{READS}:error=EIO"):
                failing = (path, calls)
                said = json.loads(self.run(*demand, "--attester", folder / "lab.pub", failing=failing, code=1))
                assert [one["code"] for one in said["items"][0]["refusals"]] == ["io"], said
                # What another one states counts all the same.
                said = json.loads(self.run(*demand, "--attester", folder / "other.pub", failing=failing, code=1))
                assert not said["items"][0]["refusals"], said
                shown = json.loads(self.run("show", NAME, *site, "--json", failing=failing, code=1))
                assert [one["type"] for one in shown["attestations"]] == [None, "evaluation"], shown
                assert path.name in shown["attestations"][0]["problem"], shown
                text = self.run("show", NAME, *site, failing=failing, code=1)
                lines = [line for line in text.splitlines() if line.startswith("attestation   cannot be read: ")]
                assert len(lines) == 1 and path.name in lines[0], text
        return 2 * len(own["lab"])


def main():
    organ, make = (Path(argument).resolve() for argument in sys.argv[1:3])
    if shutil.which("strace") is None:
        return 77
    cases = 0
    with tempfile.TemporaryDirectory() as scratch:
        site = Site(organ, make, Path(scratch))
        manifest = json.loads(site.run("show", NAME, "--registry", site.registry, "--json"))["digest"][7:]
        for path in site.objects:
            for calls in ("openat:error=EACCES", f"{READS}:error=EIO"):
                site.unreadable(path, calls)
                cases += 1
            site.run("fsck", site.registry, failing=(path, "openat:error=EMFILE"), code=1)
        path = site.registry / "blobs/sha256" / manifest
        said = site.run("verify", "--all", "--registry", site.registry, "--allow-unsigned", "--json",
                        failing=(path, "openat:error=EMFILE"), code=1)
        assert '"items"' not in said, said
        site.run("gc", site.registry, failing=(path, f"{READS}:error=EIO"), code=4)
        cases += site.stated(Path(scratch))
    print(f"{cases + 2} cases passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
