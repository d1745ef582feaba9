# SPDX-License-Identifier: Apache-2.0
"""Counts how often long commands read and write the bytes of large files.

usage: bytes_read.py ORGAN     (standard library, strace)

strace tells every byte that the process asks the kernel for, by file: what it copies inside the kernel
counts as read and written too. Publishing reads each file of an organ twice (checked, then copied while
its digest is computed anew) and writes it once. An installation in place reads a shard that it changes
once, and again what it must know of single layers: whether they are the organ's own already; it writes the
shard once, and every file that it leaves alone is read once. Taking the organ out reads a shard once. A model
is opened twice, to judge it and again under the lock. `import` and the like read what they do not change by
the kernel's own copying alone.
"""
import collections
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time
import unittest

ORGAN = pathlib.Path(sys.argv.pop(1)).resolve()
TOOLS = pathlib.Path(__file__).parent.parent / "tools"
READS = ("read", "pread64", "readv", "preadv", "preadv2")
WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2")
COPIES = ("copy_file_range", "sendfile", "splice")
CALL = re.compile(r"(?:\d+ +)?(\w+)\((.*)\) += (\d+)(?: .*)?$")
FILE = re.compile(r"\b\d+<([^>]*)>")
OPENED = re.compile(r"openat\(.* = \d+<([^>]*)>$")


def count(trace):
    """Bytes read and written by the name of the file."""
    read, written = collections.Counter(), collections.Counter()
    for line in trace.read_text().splitlines():
        if "resumed>" in line or "unfinished" in line:
            raise AssertionError(f"a call in two lines: {line}")
        call = CALL.match(line)
        if not call:
            continue
        name, arguments, size = call.group(1), call.group(2), int(call.group(3))
        files = [pathlib.Path(file).name for file in FILE.findall(arguments)]
        if name in READS and files:
            read[files[0]] += size
        elif name in WRITES and files:
            written[files[0]] += size
        elif name in COPIES and len(files) == 2:
            source, target = files if name != "sendfile" else files[::-1]
            read[source] += size
            written[target] += size
    return read, written


class BytesRead(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="organ-bytes-")
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.work = pathlib.Path(cls.scratch.name)
        # Shards of megabytes, beside which headers and small files do not show.
        subprocess.run([sys.executable, TOOLS / "make_tiny_model.py", cls.work / "model", "--layers", "6",
                        "--hidden", "256", "--intermediate", "512", "--shards", "2"],
                       check=True, stdout=subprocess.DEVNULL)
        cls.run_organ("extract", "model", "--layers", "2:5", "--name", "a/b", "--out", "cut")
        cls.run_organ("key", "generate", "k")
        cls.run_organ("sign", "cut", "--key", "k.key")
        cls.run_organ("registry", "init", "--key", "k.pub")

    @classmethod
    def run_organ(cls, *words, wrapper=()):
        done = subprocess.run([*wrapper, ORGAN, *words], cwd=cls.work, text=True, capture_output=True,
                              check=False, env={"PATH": "/usr/bin:/bin", "HOME": str(cls.work),
                                                "ORGAN_REGISTRY": str(cls.work / "registry")})
        if done.returncode != 0:
            raise AssertionError(f"{words}: exit {done.returncode}: {done.stderr}")

    def count(self, *words):
        """--threads 1 and one line for each call: of two threads strace mixes the lines."""
        trace = self.work / "trace"
        self.run_organ(*words, "--threads", "1", wrapper=(
            "strace", "-f", "-qq", "-y", "-o", trace, "-e",
            "trace=" + ",".join(READS + WRITES + COPIES)))
        return count(trace)

    def opens(self, *words):
        """How often each file was opened, by its name."""
        trace = self.work / "trace"
        self.run_organ(*words, wrapper=("strace", "-f", "-qq", "-y", "-o", trace, "-e", "trace=openat"))
        found = (OPENED.search(line) for line in trace.read_text().splitlines())
        return collections.Counter(pathlib.Path(match.group(1)).name for match in found if match)

    def assert_times(self, seen, size, low, high, what):
        self.assertGreaterEqual(seen, low * size, what)
        self.assertLessEqual(seen, high * size, f"{what}: {seen / size:.2f} times")

    def test_publish(self):
        files = {path.name: path.stat().st_size for path in (self.work / "cut").glob("*.safetensors")}
        self.assertEqual(len(files), 3)
        read, written = self.count("publish", "cut")
        for name, size in files.items():
            self.assert_times(read[name], size, 2, 2.01, f"reads of {name}")
        blobs = [path for path in (self.work / "registry/blobs/sha256").iterdir()
                 if path.stat().st_size in files.values()]
        self.assertEqual(len(blobs), 3)
        # An unnamed file is shown by its folder's number; the copies are all that is large.
        self.assert_times(sum(written.values()), sum(files.values()), 1, 1.1, "writes")
        others = sum(bytes_ for name, bytes_ in read.items() if name not in files)
        self.assertLess(others, 0.2 * sum(files.values()), "reads of the copies")


    def test_fsck_reads_what_versions_share_once(self):
        self.run_organ("registry", "init", "--registry", "shared", "--key", "k.pub")
        for version in ("1.0.0", "1.1.0", "2.0.0"):
            self.run_organ("publish", "cut", f"a/b:{version}", "--key", "k.key", "--registry", "shared")
        read, written = self.count("fsck", "shared")
        blobs = {path.name: path.stat().st_size for path in (self.work / "shared/blobs/sha256").iterdir()}
        for name, size in blobs.items():
            if size > 100_000:
                self.assert_times(read[name], size, 1, 1.01, f"reads of {name}")
        self.assertGreaterEqual(sum(size > 100_000 for size in blobs.values()), 3)
        self.assertLess(sum(written.values()), 65536, "fsck writes")

    def test_list_asks_the_log_once(self):
        self.run_organ("registry", "init", "--registry", "listed", "--key", "k.pub")
        opened = []
        for version in range(4):
            self.run_organ("publish", "cut", f"a/b:1.0.{version}", "--key", "k.key", "--registry", "listed")
            opened.append(self.opens("list", "--registry", "listed")["checkpoint"])
        self.assertGreater(opened[0], 0)
        self.assertEqual(opened, opened[:1] * len(opened))  # whatever the number of versions

    def test_install_and_uninstall(self):
        model = self.work / "recipient"
        subprocess.run(["cp", "-r", self.work / "model", model], check=True)
        (model / "notes.bin").write_bytes(bytes(1_000_000))
        before = {path.name: path.stat().st_size for path in model.glob("*.safetensors")}
        self.assertEqual(len(before), 2)
        time.sleep(2.5)  # files younger than a file system's clock ticks are read again at the end
        read, written = self.count("install", "cut", "--into", "recipient", "--at", "2", "--key", "k.pub")
        self.assert_times(read["notes.bin"], 1_000_000, 1, 1.01, "reads of a file that stays")
        undo = {path.name: path.stat().st_size for path in (model / ".organ/undo/0001").iterdir()}
        for name, size in before.items():
            # The undo data has the shard's name and is read once for its digest. The shard is read once,
            # and once more what an undo would need: those layers are compared.
            used = read[name] - undo[name]
            self.assert_times(used, size + undo[name], 0.98, 1.02, f"reads of {name} by install")
        self.assert_times(sum(written.values()), sum(before.values()) + sum(undo.values()), 1, 1.05, "writes")
        time.sleep(2.5)
        read, written = self.count("uninstall", "recipient")
        for name, size in before.items():
            # The undo data has the shard's name, and is read twice: proved, then used.
            used = read[name] - 2 * undo[name]
            self.assert_times(used, size, 1, 1.1, f"reads of {name} by uninstall")
        self.assert_times(sum(written.values()), sum(before.values()), 1, 1.05, "writes by uninstall")


    def test_opens(self):
        model = self.work / "opened"
        subprocess.run(["cp", "-r", self.work / "model", model], check=True)
        time.sleep(2.5)
        opened = self.opens("install", "cut", "--into", "opened", "--at", "2", "--key", "k.pub", "--threads", "1")
        # A Checkpoint opens its index once.
        others = self.opens("check", "cut", "--recipient", "opened", "--at", "2", "--threads", "1")
        once = others["model.safetensors.index.json"]
        looked_at = 3  # listed, read for its digest, looked at again
        self.assertEqual(opened["model.safetensors.index.json"], 2 * once + looked_at)

    @unittest.skipUnless((ORGAN.parent / "organ-train").is_file(), "no organ-train")
    def test_import(self):
        adapter = self.work / "adapter"
        adapter.mkdir()
        (adapter / "adapter_config.json").write_text(json.dumps({
            "peft_type": "IA3", "target_modules": ["layers.1.self_attn.k_proj"],
            "feedforward_modules": []}))
        name = "base_model.model.model.layers.1.self_attn.k_proj.ia3_l"
        key = self.tensors()["model.layers.1.self_attn.k_proj.weight"]["shape"][0]
        header = json.dumps({name: {"dtype": "F32", "shape": [key, 1], "data_offsets": [0, 4 * key]}}).encode()
        (adapter / "adapter_model.safetensors").write_bytes(
            struct.pack("<Q", len(header)) + header + struct.pack("<f", 2.0) * key)
        self.run_organ("import", "adapter", "--into", "model", "--out", "merged", wrapper=(
            "strace", "-f", "-qq", "-y", "-o", self.work / "trace", "-e", "trace=" + ",".join(READS)))
        read, _ = count(self.work / "trace")
        changed = [path.name for path in (self.work / "merged").glob("*.safetensors")
                   if path.read_bytes() != (self.work / "model" / path.name).read_bytes()]
        self.assertEqual(len(changed), 1)
        for path in (self.work / "model").glob("*.safetensors"):
            if path.name not in changed:
                self.assertLess(read[path.name], 0.05 * path.stat().st_size, f"reads of {path.name}")

    def tensors(self):
        found = {}
        for path in (self.work / "model").glob("*.safetensors"):
            data = path.read_bytes()
            found |= json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
        return found


if __name__ == "__main__":
    unittest.main()
