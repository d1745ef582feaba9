# SPDX-License-Identifier: Apache-2.0
"""Room is asked for before long work: all that will be written, and nothing that will not.

    free_room.py ORGAN_PROGRAM SHIM

SHIM is poor_file_system.cc as a library: it says how much is free, and has reflinks or none. Bytes that a
file shares by reflink or hard link, and files that stay behind, take no room.
"""
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

TOOLS = Path(__file__).parent.parent / "tools"
SMALL = 200_000  # receipts, headers, blocks that are shared in part; a layer has megabytes


class Bench:
    def __init__(self, organ, shim, folder):
        self.organ, self.shim, self.folder = organ, shim, folder
        self.passed = self.failed = 0
        self.make("model")
        self.run("key", "generate", "k")
        self.run("extract", "model", "--layers", "2:3", "--name", "a/b", "--out", "cut")
        self.run("extract", "model", "--layers", "1:4", "--name", "a/c", "--out", "three")
        for name in ("cut", "three"):
            self.run("sign", name, "--key", "k.key")
        self.layer = (folder / "cut/layer.00.safetensors").stat().st_size
        self.run("install", "cut", "--into", "model", "--at", "2", "--key", "k.pub", "--out", "try")
        undo = {p.name for p in (folder / "try/.organ/undo/0001").iterdir()}
        sizes = {p.name: p.stat().st_size for p in (folder / "model").glob("*.safetensors")}
        self.changed = sum(size for name, size in sizes.items() if name in undo)
        self.unchanged = sum(sizes.values()) - self.changed
        shutil.rmtree(folder / "try")

    def make(self, name):
        """Two layers in a shard, in another all the rest: of most installations some shards stay."""
        model = self.folder / name
        subprocess.run([sys.executable, TOOLS / "make_tiny_model.py", model, "--layers", "6",
                        "--hidden", "256", "--intermediate", "512"], check=True, stdout=subprocess.DEVNULL)
        whole = (model / "model.safetensors").read_bytes()
        start = 8 + struct.unpack("<Q", whole[:8])[0]
        header = json.loads(whole[8:start])
        header.pop("__metadata__", None)
        shards = {}
        for tensor, info in header.items():
            layer = re.match(r"model\.layers\.(\d+)\.", tensor)
            shards.setdefault(int(layer[1]) // 2 + 2 if layer else 1, {})[tensor] = info
        weight_map = {}
        for number, tensors in shards.items():
            file = f"model-{number:05}-of-{len(shards):05}.safetensors"
            data = b""
            for tensor, info in tensors.items():
                begin, end = info["data_offsets"]
                info["data_offsets"] = [len(data), len(data) + end - begin]
                data += whole[start + begin:start + end]
                weight_map[tensor] = file
            text = json.dumps(tensors).encode()
            (model / file).write_bytes(struct.pack("<Q", len(text)) + text + data)
        (model / "model.safetensors").unlink()
        (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    def run(self, *words, free=None, poor="", patience=None):
        seen = self.folder / "seen"
        seen.unlink(missing_ok=True)
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8",
               "ORGAN_REGISTRY": str(self.folder / "registry"), "XDG_CONFIG_HOME": str(self.folder)}
        if free is not None:
            env |= {"LD_PRELOAD": str(self.shim), "POOR": poor, "POOR_FREE": str(free),
                    "POOR_SEEN": str(seen)}
        done = subprocess.run([str(w) for w in (self.organ, *words)], env=env, text=True, cwd=self.folder,
                              capture_output=True, check=False, timeout=patience)
        if free is None and done.returncode != 0:
            raise AssertionError(f"{words}: {done.stderr}")
        if free is not None and (not seen.exists() or "room" not in seen.read_text().split()):
            self.expect(f"{words[0]}: asks how much is free", False)
        return done

    def expect(self, what, holds, got=""):
        self.passed += bool(holds)
        self.failed += not holds
        if not holds:
            print(f"FAILED {what}: {got}", flush=True)

    def fits(self, what, *words, **more):
        done = self.run(*words, **more)
        self.expect(f"{what} fits", done.returncode == 0, done.stderr.strip())

    def refused(self, what, *words, **more):
        done = self.run(*words, **more)
        self.expect(f"{what} is refused", done.returncode == 1 and "are free" in done.stderr,
                    f"exit {done.returncode} {done.stderr.strip()}")

    def refused_soon(self, what, *words, **more):
        """Beside a file of zeros that would be read for minutes."""
        long = self.folder / "model/long.dat"
        with open(long, "wb") as file:
            file.truncate(256 << 30)
        try:
            self.refused(f"{what}, before the model is read,", *words, patience=60, **more)
        except subprocess.TimeoutExpired:
            self.expect(f"{what} is refused before the model is read", False)
        long.unlink()


def in_place(bench):
    install = ("install", "cut", "--into", "model", "--at", "2", "--key", "k.pub")
    both = 2 * bench.layer + SMALL  # the new layer and the old one
    assert both < bench.changed + bench.layer
    bench.refused_soon("an installation where nothing is shared", *install, free=both, poor="clone")
    bench.refused("an installation with room for one layer", *install, free=bench.layer + SMALL, poor="cow")
    bench.fits("an installation with reflinks", *install, free=both, poor="cow")
    undo = ("uninstall", "model")
    bench.refused("an undo where nothing is shared", *undo, free=bench.layer + SMALL, poor="clone")
    bench.refused("an undo with no room", *undo, free=bench.layer - SMALL, poor="cow")
    bench.fits("an undo with reflinks", *undo, free=bench.layer + SMALL, poor="cow")


def beside(bench):
    install = ("install", "cut", "--into", "model", "--at", "2", "--key", "k.pub", "--out", "out")
    out = bench.folder / "out"
    changed = bench.changed + bench.layer + SMALL
    assert bench.unchanged > SMALL
    bench.refused("a copy", *install, free=changed, poor="clone")
    bench.refused_soon("a copy with room for nothing", *install, free=SMALL, poor="clone")
    bench.refused("a copy whose shards cannot be linked", *install, "--hard-link", free=changed, poor="clone,links")
    bench.expect("nothing is left", not out.exists() and not list(bench.folder.glob(".out.*")))
    bench.fits("a copy by hard links", *install, "--hard-link", free=changed, poor="clone")
    shutil.rmtree(out, ignore_errors=True)
    bench.fits("a copy by reflinks", *install, free=2 * bench.layer + SMALL, poor="cow")
    # The old bytes of an earlier installation go along.
    again = ("install", "cut", "--into", "out", "--at", "3", "--key", "k.pub", "--out", "again")
    everything = 2 * (bench.changed + bench.unchanged)
    bench.fits("a copy of a copy", *again, free=everything, poor="clone")
    shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(bench.folder / "again", ignore_errors=True)
    for name in ("pytorch_model.bin", "model.gguf"):
        with open(bench.folder / "model" / name, "wb") as file:
            file.truncate(10 * everything)
    bench.fits("what stays behind", *install, free=everything, poor="clone")
    shutil.rmtree(out, ignore_errors=True)


def published(bench):
    bench.run("registry", "init", "--key", "k.pub")
    blobs = bench.folder / "registry/blobs/sha256"
    before = sorted(blobs.iterdir())
    bench.refused("an organ of which one layer has room", "publish", "three", free=bench.layer + SMALL,
                  poor="clone")
    bench.expect("nothing was written", sorted(blobs.iterdir()) == before)
    bench.fits("an organ", "publish", "three", free=3 * bench.layer + SMALL, poor="clone")
    bench.fits("one that is there already", "publish", "three", free=SMALL, poor="clone")
    bench.fits("one that is shared", "publish", "cut", free=SMALL, poor="cow")
    bench.fits("extract", "extract", "model", "--layers", "1:2", "--out", "one", free=bench.layer + SMALL)
    bench.refused("extract without room", "extract", "model", "--layers", "1:2", "--out", "other",
                  free=bench.layer - SMALL)


def main():
    organ, shim = (Path(a).resolve() for a in sys.argv[1:3])
    with tempfile.TemporaryDirectory(prefix="organ-room-") as scratch:
        bench = Bench(organ, shim, Path(scratch))
        in_place(bench)
        beside(bench)
        published(bench)
    print(f"{bench.passed} cases passed, {bench.failed} failed")
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
