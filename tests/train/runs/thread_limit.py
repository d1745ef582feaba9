# SPDX-License-Identifier: Apache-2.0
"""With `--threads 1` no command of organ-train starts a thread, whatever it hashes, reads or writes.

usage: thread_limit.py ORGAN_TRAIN MODEL_FIXTURE SHIM     (standard library only)

SHIM is process_limits.cc as a library; it counts. With two threads LibTorch keeps one beside the first,
which shows that counting works.
"""
import os
import pathlib
import subprocess
import sys
import unittest

from run_case import FIXTURE, PROGRAM, RunCase, write_ids

SHIM = pathlib.Path(sys.argv[3]).resolve()
METERED = any(pathlib.Path("/sys/class/powercap").glob("intel-rapl:*"))  # a thread reads the energy


class ThreadLimit(RunCase):
    def threads_of(self, *command, threads=1):
        """The most threads that ran beside the first."""
        mark = self.folder / "seen"
        mark.write_text("0")
        environment = os.environ | {"LD_PRELOAD": str(SHIM), "THREADS_SEEN": str(mark)}
        done = subprocess.run([PROGRAM, *map(str, command), "--threads", str(threads), "--no-progress"],
                              env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stderr}")
        return int(mark.read_text()) - (METERED and command[0] != "import" and command[0] != "generate")

    def ways(self):
        """Every command, by every way of data."""
        model, texts = self.text_model(), self.texts()
        for number in range(3):
            (self.folder / f"{number}.txt").write_text("abc def gh " * (20 + number))
        share = ("--data", *(self.folder / f"{number}.txt" for number in range(3)),
                 "--held-out-share", "0.4", "--context", 16)
        held_out = self.folder / "held-out.safetensors"
        write_ids(held_out, windows=4, seed=7)
        ids = ("--ids", self.folder / "ids.safetensors", "--held-out-ids", held_out)
        run = ("--steps", 3, "--save-every", 1, "--batch", 2, "--precision", "fp32")
        cache = ("--cache", self.folder / "cache")
        yield ("train", model, "--layers", "1:2", *texts, *run, *cache, "--out", self.folder / "texts")
        yield ("train", model, "--layers", "1:2", *share, *run, *cache, "--out", self.folder / "share")
        yield ("train", FIXTURE, "--layers", "1:2", *ids, *run, *cache, "--out", self.folder / "ids")
        yield ("recover", model, "--layers", "0:1", *texts, *run, "--out", self.folder / "recovered")
        for method, more in (("lora", ()), ("top_k_layers", ("--count", 1)), ("full", ())):
            yield ("baseline", method, model, *texts, *run, *more, "--out", self.folder / method)
        yield ("eval", model, *texts[:2], "--context", 16, "--training-data", self.folder / "held_out.txt")
        yield ("eval", FIXTURE, "--ids", held_out)
        yield ("generate", model, "--prompt", "abc", "--max-tokens", 4)
        yield ("import", self.folder / "lora", "--into", model, "--out", self.folder / "merged")

    def test_one_thread_is_one(self):
        for command in self.ways():
            with self.subTest(command=command[:3]):
                self.assertEqual(self.threads_of(*command), 0)

    def test_two_are_counted(self):
        command = self.command("out")
        at = command.index("--threads=2")
        self.assertGreater(self.threads_of(*command[1:at], *command[at + 1:], threads=2), 0)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
