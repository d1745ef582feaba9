# SPDX-License-Identifier: Apache-2.0
"""No command runs more threads than --threads allows, and none needs more than its first.

    thread_limit.py ORGAN_PROGRAM SHIM

SHIM is process_limits.cc as a library; it counts. Every command that has the option goes the whole
way from a model to an installed organ and back, at several limits and where the system gives no
thread at all, and leaves the same bytes.
"""
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ORGAN, SHIM = (Path(argument).resolve() for argument in sys.argv[1:3])
del sys.argv[1:3]
TOOLS = Path(__file__).parent.parent / "tools"
# In their order; LIMIT stands for the option.
WAY = ["extract model --layers 1:3 --name a/b --organ-version 1.0.0 --license MIT --out o LIMIT",
       "export o --format paper --out pair LIMIT", "import pair --into model --out again LIMIT",
       "sign o --key k.key LIMIT", "registry init --key k.pub", "publish o LIMIT",
       "verify o LIMIT", "ci o --key k.pub LIMIT", "verify a/b:1.0.0 LIMIT",
       "verify --all LIMIT", "registry rebuild",
       "fsck LIMIT", "repair --from o LIMIT",
       "check o --recipient model --at 0 LIMIT",
       "install o --into model --at 0 --out copy LIMIT",
       "install a/b:1.0.0 --into model --at 0 LIMIT", "install --continue --into model LIMIT",
       "uninstall model LIMIT"]


def commands_with_threads(node, path=()):
    """The commands of --dump-help that have the option."""
    if any("--threads" in option["names"] for option in node.get("options", ())):
        yield " ".join(path)
    for command in node.get("commands", ()):
        yield from commands_with_threads(command, (*path, command["name"]))


def digests(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(folder.rglob("*")) if p.is_file()}


class ThreadLimit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="organ-threads")
        cls.work = Path(cls.scratch.name)
        subprocess.run([sys.executable, TOOLS / "make_tiny_model.py", cls.work / "model",
                        "--layers", "4", "--shards", "2"], check=True, stdout=subprocess.DEVNULL)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def go(self, name, options, most=None, progress=()):
        """Returns the threads beside the first of each command, and the bytes of organ and copy."""
        folder = self.work / name
        folder.mkdir()
        shutil.copytree(self.work / "model", folder / "model")
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "SOURCE_DATE_EPOCH": "1700000000",
               "ORGAN_REGISTRY": str(folder / "registry")}
        subprocess.run([ORGAN, "key", "generate", "k"], env=env, cwd=folder, check=True,
                       capture_output=True)
        before, seen = digests(folder / "model"), {}
        for line in WAY:
            mark = folder / "seen"
            mark.write_text("0")
            shim = {"LD_PRELOAD": str(SHIM), "THREADS_SEEN": str(mark)}
            if most is not None:
                shim["THREADS_MOST"] = str(most)
            words = [w for word in line.split() for w in (options if word == "LIMIT" else [word])]
            done = subprocess.run([ORGAN, *words, *progress], env=env | shim, cwd=folder, text=True,
                                  capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, f"{words}: {done.stderr}")
            seen[line] = int(mark.read_text())
        self.assertEqual(digests(folder / "model"), before)
        copy = digests(folder / "copy")
        return seen, (digests(folder / "o").keys(), digests(folder / "o")["organ.json"],
                      {n: d for n, d in copy.items() if n.endswith(".safetensors")})

    def test_every_command_with_the_option_is_on_the_way(self):
        text = subprocess.run([ORGAN, "--dump-help", "json"], check=True, capture_output=True).stdout
        known = set(commands_with_threads(json.loads(text)))
        self.assertIn("extract", known)
        # What is pulled is published on the way that `publish` takes; it needs a server.
        self.assertEqual(known - {"pull"}, {line.split()[0] for line in WAY if "LIMIT" in line})

    def test_limits_are_kept(self):
        expected = None
        for limit in (1, 2, 4):
            seen, bytes_made = self.go(f"limit{limit}", ["--threads", str(limit)])
            expected = expected or bytes_made
            self.assertEqual(bytes_made, expected)
            for line, others in seen.items():
                if "LIMIT" in line:
                    self.assertLess(others, limit, line)
            if limit > 1:  # the counting works
                self.assertGreater(max(seen.values()), 0)

    def test_no_thread_is_needed(self):
        for most in (0, 1):
            for progress in ((), ("--progress",)):
                with self.subTest(most=most, progress=progress):
                    seen, _ = self.go(f"most{most}{len(progress)}", ["--threads", "4"], most,
                                      progress)
                    self.assertLessEqual(max(seen.values()), most)

    @unittest.skipUnless((ORGAN.parent / "organ-train").exists(), "built without LibTorch")
    def test_no_thread_is_needed_to_train_and_measure(self):
        """LibTorch waits for ever for a thread it does not get, and OpenMP ends the process."""
        folder = self.work / "training"
        folder.mkdir()
        write_ids(folder / "ids.safetensors")
        write_ids(folder / "held.safetensors", first=5)
        training = "--steps 3 --ids ids.safetensors --held-out-ids held.safetensors --threads 4 --out"
        for most in (0, 1, 2, 3, 5, 7):
            for command in (f"train MODEL --layers 1:3 {training} trained{most}",
                            f"baseline top_k MODEL {training} based{most}",
                            f"recover MODEL --layers 1:2 {training} again{most}",
                            "eval MODEL --ids ids.safetensors --threads 4", "doctor"):
                words = [self.work / "model" if w == "MODEL" else w for w in command.split()]
                env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LD_PRELOAD": str(SHIM),
                       "THREADS_MOST": str(most)}
                with self.subTest(most=most, command=words[0]):
                    done = subprocess.run([ORGAN.parent / "organ-train", *words], env=env, cwd=folder,
                                          text=True, capture_output=True, check=False, timeout=100)
                    self.assertEqual(done.returncode, 0, done.stderr)

    @unittest.skipUnless((ORGAN.parent / "organ-train").exists(), "built without LibTorch")
    def test_places_of_openmp_are_no_affinity(self):
        """OpenMP binds the thread that loads it to one of them; the others are still there."""
        def threads(**more):
            done = subprocess.run([ORGAN.parent / "organ-train", "doctor", "--json"], check=True,
                                  capture_output=True, env={"PATH": os.environ["PATH"], **more})
            return json.loads(done.stdout)["threads"]

        for variable, value in (("OMP_PROC_BIND", "true"), ("OMP_PLACES", "cores")):
            with self.subTest(variable=variable):
                self.assertEqual(threads(**{variable: value}), threads())


def write_ids(path, first=1):
    ids = [(first + 7 * i) % 60 for i in range(8 * 32)]
    header = json.dumps({"ids": {"dtype": "I64", "shape": [8, 32], "data_offsets": [0, 8 * len(ids)]}}).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(struct.pack("<Q", len(header)) + header + struct.pack(f"<{len(ids)}q", *ids))


if __name__ == "__main__":
    unittest.main()
