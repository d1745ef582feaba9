# SPDX-License-Identifier: Apache-2.0
"""Repairs of a file of two pieces: only wrong pieces are copied, or fetched by range.

    mended.py ORGAN_PROGRAM

From a mirror that is wrong elsewhere, from the quarantine, from Debian's docker-registry. Exits 77
without that.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "remote"))
from servers import DockerRegistry, Site, make_model  # noqa: E402

PIECE = 4 << 20
NAME, FILE = "legal/contracts:1.0.0", "layer.00.safetensors"


class Case:
    def __init__(self, organ, folder):
        self.site = Site(organ, folder, "site")
        make_model(self.site.folder / "model")
        self.site.publish(self.site.folder / "model", "legal/contracts", "1.0.0")
        shown = self.site.json("show", NAME)
        digest = next(one for one in shown["files"] if one["path"] == FILE)["digest"]
        self.place = pathlib.Path("blobs/sha256") / digest[7:]
        self.manifest = pathlib.Path("blobs/sha256") / shown["digest"][7:]
        self.good = self.bytes()
        self.size = len(self.good)
        assert PIECE < self.size < 2 * PIECE

    def bytes(self):
        return (self.site.registry / self.place).read_bytes()

    def spoil(self, root, offset):
        path = root / self.place
        data = bytearray(path.read_bytes())
        data[offset] ^= 1
        path.chmod(0o644)
        path.write_bytes(bytes(data))
        path.chmod(0o444)

    def report(self, *words, code=0):
        return json.loads(self.printed(*words, code=code))

    def printed(self, *words, code):
        done = subprocess.run([str(word) for word in (self.site.organ, *words, "--json")],
                              capture_output=True, text=True, env=self.site.environment, check=False)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def mended(self, *words):
        report = self.report("repair", *words)
        assert self.bytes() == self.good
        assert not report["left"] and not report["affected_after"], report
        return {one["source"]: one["bytes"] for one in report["mended"][0]["taken"]}

    def from_a_mirror(self):
        """It is wrong where the object is right."""
        mirror = self.site.folder / "mirror"
        shutil.copytree(self.site.registry, mirror)
        self.spoil(mirror, self.size - 1)
        self.spoil(self.site.registry, 70000)
        broken = self.report("fsck", code=4)["objects"]
        assert [one["pieces"] for one in broken] == [[{"begin": 0, "end": PIECE}]], broken
        assert len(broken[0]["tensors"]) == 1 and broken[0]["versions"] == [NAME], broken
        assert self.mended("--from", mirror) == {"itself": self.size - PIECE, str(mirror): PIECE}

    def from_the_quarantine(self):
        """What was damaged before is right elsewhere."""
        self.spoil(self.site.registry, self.size - 2)
        assert self.mended() == {"itself": PIECE, "the quarantine": self.size - PIECE}

    def nobody_has_it(self):
        shutil.rmtree(self.site.registry / "organ/quarantine")
        self.spoil(self.site.registry, self.size - 2)
        bad = self.bytes()
        report = self.report("repair", "--from", self.site.folder / "mirror", code=4)
        assert report["left"][0]["pieces"] == [{"begin": PIECE, "end": self.size}], report
        assert report["affected_after"] == [NAME]
        assert self.bytes() == bad

    def from_the_network(self, folder):
        with DockerRegistry(folder) as server:
            where = f"oci://{server.host}/organs/contracts"
            assert self.report("repair", "--from", where, code=4)["left"], "it is not there yet"
            self.spoil(self.site.registry, self.size - 2)  # the second time: right again
            assert self.bytes() == self.good
            self.site.run("push", NAME, where)
            self.spoil(self.site.registry, 5)
            self.spoil(self.site.registry, self.size - 2)
            (self.site.registry / self.manifest).unlink()
            whole = self.report("repair", "--from", where)
            taken = {one["file"]: {t["source"]: t["bytes"] for t in one["taken"]} for one in whole["mended"]}
            assert taken[FILE] == {where: self.size}, taken
            assert list(taken["its manifest"]) == [where], taken
            assert self.bytes() == self.good
            self.site.run("fsck")
            shutil.rmtree(self.site.registry / "organ/quarantine")
            self.spoil(self.site.registry, self.size - 2)
            assert self.mended("--from", where) == {"itself": PIECE, where: self.size - PIECE}
            shutil.rmtree(self.site.registry / "organ/quarantine")
            self.spoil(self.site.registry, self.size - 2)
            assert self.report("repair", "--from", where, "--retries", "0")["mended"], "not even asked"
        shutil.rmtree(self.site.registry / "organ/quarantine")
        self.spoil(self.site.registry, self.size - 2)
        report = self.report("repair", "--from", where, code=4)
        assert report["left"] and any("did not answer" in note for note in report["notes"]), report


def main():
    organ = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        case = Case(organ, scratch)
        case.from_a_mirror()
        case.from_the_quarantine()
        case.nobody_has_it()
        case.from_the_network(scratch)
    print("4 cases passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
