# SPDX-License-Identifier: Apache-2.0
"""What `organ train` promises about a run: same seed same bits, resume equals the straight run,
a step that is not finite changes nothing, bad numbers are refused with nothing written.

usage: runs.py ORGAN_TRAIN MODEL_FIXTURE     (standard library only)
"""
import hashlib
import json
import math
import pathlib
import random
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import letters  # noqa: E402

PROGRAM, FIXTURE = sys.argv[1], pathlib.Path(sys.argv[2])
CONFIG = json.loads((FIXTURE / "config.json").read_text())
STEPS = 12
FLAGS = ("--resume", "--checkpoint-activations")


def read_safetensors(path):
    """Header and data of a file; tensors as (dtype, shape, bytes)."""
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    data = raw[8 + size:]
    return {name: (t["dtype"], t["shape"], data[slice(*t["data_offsets"])])
            for name, t in header.items()}


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_ids(path, windows=20, length=16, seed=1, vocabulary=None, poison=None):
    """Random windows; `poison` puts one token into the last window and nowhere else."""
    rows = random.Random(seed)
    limit = (vocabulary or CONFIG["vocab_size"]) - 1
    ids = [[rows.randrange(limit) for _ in range(length)] for _ in range(windows)]
    if poison is not None:
        ids[-1][length // 2] = poison
    flat = [i for row in ids for i in row]
    write_safetensors(path, {"ids": ("I64", [windows, length],
                                     struct.pack(f"<{len(flat)}q", *flat))})


def floats(raw):
    return struct.unpack(f"<{len(raw) // 4}f", raw)


class Runs(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="organ-train-test"))
        self.addCleanup(shutil.rmtree, self.folder)
        write_ids(self.folder / "ids.safetensors")

    def command(self, out, *more, model=FIXTURE, steps=STEPS):
        """The command line; options in `more` replace the usual ones."""
        data = {} if "--data" in more else {"--ids": self.folder / "ids.safetensors"}
        options = {**data, "--layers": "1:2", "--out": self.folder / out, "--lr": "1e-2", "--precision": "fp32",
                   "--threads": 2, "--steps": steps, "--batch": 2, "--save-every": 1}
        flags = [word for word in more if word in FLAGS]
        pairs = [word for word in more if word not in FLAGS]
        options.update(zip(pairs[::2], pairs[1::2], strict=True))
        return [PROGRAM, "train", str(model), *flags,
                *(f"{name}={value}" for name, value in options.items())]

    def train(self, out, *more, expect=0, **keywords):
        result = subprocess.run(self.command(out, *more, **keywords), capture_output=True,
                                text=True)
        self.assertEqual(result.returncode, expect, result.stderr)
        return result

    def tensors(self, out):
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest()
                for p in sorted((self.folder / out).glob("layer.*.safetensors"))}

    def records(self, out, event):
        lines = (self.folder / f"{out}.run" / "metrics.jsonl").read_text().splitlines()
        return [r for r in map(json.loads, lines) if r["event"] == event]

    def losses(self, out):
        return [(r["step"], r["loss"], r["windows"]) for r in self.records(out, "step")]

    def evaluations(self, out):
        return [(r["step"], r["nll"]) for r in self.records(out, "evaluation")]

    def training(self, out):
        return json.loads((self.folder / out / "organ.json").read_text())["training"]

    def stop_after(self, out, step, how, *more, **keywords):
        """Starts a run and signals it as soon as `step` steps are logged."""
        process = subprocess.Popen(self.command(out, *more, **keywords), stderr=subprocess.PIPE,
                                   text=True)
        log = self.folder / f"{out}.run" / "metrics.jsonl"
        while process.poll() is None and (not log.exists() or
                                          log.read_text().count('"event":"step"') < step):
            time.sleep(0.001)
        process.send_signal(how)
        error = process.communicate()[1]
        return process.returncode, error

    def newest_state(self, out):
        return sorted((self.folder / f"{out}.run").glob("step-*.json"))[-1]

    def test_two_runs_with_one_seed_are_bit_equal(self):
        self.train("a", "--seed", 3)
        self.train("b", "--seed", 3)
        self.train("c", "--seed", 4)
        self.assertEqual(self.tensors("a"), self.tensors("b"))
        self.assertEqual(self.losses("a"), self.losses("b"))
        self.assertNotEqual(self.tensors("a"), self.tensors("c"))

    def test_bf16_runs_with_one_seed_are_bit_equal(self):
        for out in ("a", "b"):
            self.train(out, "--precision", "bf16", steps=4)
        self.assertEqual(self.tensors("a"), self.tensors("b"))

    def test_a_resumed_run_equals_the_straight_one(self):
        self.train("straight")
        for step, how, code in ((1, signal.SIGINT, 130), (3, signal.SIGKILL, -9),
                                (5, signal.SIGTERM, 130), (7, signal.SIGKILL, -9)):
            with self.subTest(step=step, how=how):
                out = f"at{step}"
                returned, error = self.stop_after(out, step, how)
                if returned != 0:  # a fast machine may finish first
                    self.assertEqual(returned, code, error)
                    self.assertFalse((self.folder / out).exists())
                    self.train(out, "--resume")
                self.assertEqual(self.tensors(out), self.tensors("straight"))
                self.assertEqual(self.losses(out), self.losses("straight"))

    def test_an_interrupted_run_says_how_to_go_on(self):
        returned, error = self.stop_after("out", 2, signal.SIGINT)
        if returned != 0:
            self.assertIn("interrupted at step", error)
            self.assertIn("--resume", error)

    def interrupted(self, out):
        """Leaves a run that was killed half way."""
        returned, _ = self.stop_after(out, 5, signal.SIGKILL)
        if returned == 0:
            self.skipTest("the run was faster than the signal")

    def test_negative_control_without_first_moment_the_result_differs(self):
        self.train("straight")
        self.interrupted("out")
        record_path = self.newest_state("out")
        weights = record_path.with_suffix(".safetensors")
        tensors = read_safetensors(weights)
        dtype, shape, raw = tensors["first_moment"]
        self.assertTrue(any(raw))
        tensors["first_moment"] = (dtype, shape, bytes(len(raw)))
        write_safetensors(weights, tensors)
        record = json.loads(record_path.read_text())
        record["weights_digest"] = "sha256:" + hashlib.sha256(weights.read_bytes()).hexdigest()
        record_path.write_text(json.dumps(record))
        self.train("out", "--resume")
        self.assertNotEqual(self.tensors("out"), self.tensors("straight"))

    def test_resume_refuses_another_seed_other_settings_and_other_data(self):
        self.interrupted("out")
        self.assertIn("settings", self.train("out", "--resume", "--seed", 9, expect=2).stderr)
        self.assertIn("settings", self.train("out", "--resume", "--clip-norm", 2, expect=2).stderr)
        write_ids(self.folder / "ids.safetensors", seed=2)
        self.assertIn("data", self.train("out", "--resume", expect=2).stderr)
        write_ids(self.folder / "ids.safetensors")
        self.assertIn("--resume continues", self.train("out", expect=1).stderr)
        self.train("out", "--resume")

    def test_resume_skips_a_damaged_state_and_says_so(self):
        self.train("straight")
        self.interrupted("out")
        weights = self.newest_state("out").with_suffix(".safetensors")
        raw = bytearray(weights.read_bytes())
        raw[-5] ^= 1
        weights.write_bytes(raw)
        self.assertIn("train state left out", self.train("out", "--resume").stderr)
        self.assertEqual(self.tensors("out"), self.tensors("straight"))

    def test_accumulated_passes_equal_one_bigger_batch(self):
        self.train("one", "--batch", 4)
        self.train("two", "--batch", 2, "--accumulate", 2)
        for (_, a, wa), (_, b, wb) in zip(self.losses("one"), self.losses("two"), strict=True):
            self.assertEqual(wa, wb)
            self.assertLess(abs(a - b), 1e-5 * abs(a))

    def test_the_cache_size_changes_no_bit(self):
        self.train("kept")
        self.train("recomputed", "--cache-bytes", 0)
        self.assertEqual(self.tensors("kept"), self.tensors("recomputed"))

    def text_model(self):
        """A copy of the model with a tokenizer of letters."""
        model = self.folder / "lettered"
        shutil.copytree(FIXTURE, model)
        letters.write_tokenizer(model)
        return model

    def texts(self):
        """Options of a run over short documents with held-out data."""
        for name, seed in (("train.txt", 1), ("held_out.txt", 2)):
            (self.folder / name).write_text(letters.random_text(seed, 30, 24))
        return ("--data", self.folder / "train.txt", "--held-out", self.folder / "held_out.txt",
                "--documents", "blank-lines", "--context", 16)

    def test_packing_fills_the_windows_and_says_how_far(self):
        model, options = self.text_model(), self.texts()
        shares = {}
        for packing in ("ffd", "concat"):
            result = self.train(packing, *options, "--pack", packing, model=model, steps=2)
            (start,) = self.records(packing, "run")
            shares[packing] = start["filled_share"]
            self.assertEqual(start["packing"], packing)
            self.assertIn(f"({100 * start['filled_share']:.1f} % filled)", result.stderr)
            self.assertEqual(self.training(packing)["hyperparameters"]["packing"], packing)
            places = start["windows"] * start["context"]
            self.assertLessEqual(start["filled_share"] * places, start["tokens"])
        self.assertGreater(shares["ffd"], 0.9)

    def test_recomputed_activations_change_no_bit(self):
        self.train("kept")
        self.train("recomputed", "--checkpoint-activations")
        self.assertEqual(self.tensors("kept"), self.tensors("recomputed"))

    def prefix_use(self, result):
        return json.loads(result.stdout)["prefix_cache"]

    def cached(self, out, *more, **keywords):
        command = self.command(out, "--cache", self.folder / "cache", *more, **keywords)
        result = subprocess.run([*command, "--json"], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        return self.prefix_use(result)

    def test_a_second_run_reads_every_window_from_the_cache_folder(self):
        self.train("without")
        self.assertEqual(self.cached("first"), {"computed": 20, "read": 4, "damaged": 0})
        self.assertEqual(self.cached("second"), {"computed": 0, "read": 24, "damaged": 0})
        for entry in (self.folder / "cache").glob("[0-9a-f]*"):
            raw = bytearray(entry.read_bytes())
            raw[7] ^= 1
            entry.write_bytes(raw)
        self.assertEqual(self.cached("third"), {"computed": 20, "read": 4, "damaged": 20})
        self.assertEqual(self.cached("longer", "--seed", 5, steps=30),
                         {"computed": 0, "read": 60, "damaged": 0})
        for out in ("first", "second", "third"):
            self.assertEqual(self.tensors(out), self.tensors("without"))

    def test_two_runs_at_once_share_a_small_cache_folder(self):
        entry = 16 * CONFIG["hidden_size"] * 4 + 32
        bound = ("--cache", self.folder / "cache", "--cache-bytes", 16 * entry)
        self.train("alone", *bound)
        pair = [subprocess.Popen(self.command(out, *bound, "--seed", seed),
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                for out, seed in (("a", 0), ("b", 1))]
        self.assertEqual([process.wait() for process in pair], [0, 0])
        kept = sum(p.stat().st_size for p in (self.folder / "cache").glob("[0-9a-f]*"))
        self.assertLessEqual(kept, 18 * entry)
        self.assertEqual(self.tensors("a"), self.tensors("alone"))
        self.train("c", "--seed", 1)
        self.assertEqual(self.tensors("b"), self.tensors("c"))

    def test_a_stopped_early_run_publishes_its_best_weights(self):
        model, options = self.text_model(), self.texts()
        self.train("out", *options, "--lr", "3e-2", "--evaluate-every", 2, "--patience", 3,
                   model=model, steps=60)
        training = self.training("out")["hyperparameters"]
        during, after = self.evaluations("out")[1:-1], self.evaluations("out")[-1]
        best = min(during, key=lambda e: e[1])
        self.assertEqual(training["published_weights"], "best")
        self.assertEqual(training["published_step"], best[0])
        self.assertEqual(during[-1][0], best[0] + 6)  # three evaluations without gain
        self.assertLess(training["steps_done"], 60)
        self.assertEqual(after[1], best[1])
        self.assertGreater(during[-1][1], best[1])

    def figures(self, out):
        manifest = json.loads((self.folder / out / "organ.json").read_text())
        return {e["subject"]: e for e in manifest["evaluations"]}

    def eval(self, model, *options):
        done = subprocess.run([PROGRAM, "eval", str(model), *map(str, options), "--threads=2", "--json"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_a_figure_says_in_which_precision_it_was_measured_and_was(self):
        """Before training, and of the folder that recovery leaves, `organ eval` measures the same in
        that precision and something else in the other."""
        model = self.text_model()
        text = ("--data", self.folder / "held_out.txt", "--documents", "blank-lines", "--context", 16)
        for precision, other in (("fp32", "bf16"), ("bf16", "fp32")):
            command = [PROGRAM, "recover", str(model), *map(str, self.texts()), "--layers=1:2",
                       "--steps=4", "--lr=1e-2", f"--precision={precision}", "--threads=2",
                       f"--out={self.folder / precision}"]
            done = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout.count(f",lead=none,{precision},cpu]"), 2, done.stdout)
            record = json.loads((self.folder / precision / "recovery.json").read_text())
            for figure, folder in zip(record["evaluations"], (model, self.folder / precision),
                                      strict=True):
                self.assertEqual((figure["precision"], figure["device"], figure["lead_in"]),
                                 (precision, "cpu", []))
                recorded = float.fromhex(figure["nll"])
                alike = self.eval(folder, *text, f"--precision={precision}")["nll"]
                unlike = self.eval(folder, *text, f"--precision={other}")["nll"]
                self.assertLess(abs(recorded - alike), 1e-6 * recorded)
                self.assertGreater(abs(recorded - unlike), abs(recorded - alike))

    def test_a_figure_on_the_data_that_chose_the_weights_says_so(self):
        model, options = self.text_model(), self.texts()
        for out, more, chose in (("plain", (), False),
                                 ("averaged", ("--ema", "0.5"), False),
                                 ("chosen", ("--evaluate-every", 2, "--patience", 3), True)):
            result = self.train(out, *options, *more, model=model, steps=6)
            figures = self.figures(out)
            self.assertIs(figures["recipient_untouched"]["chose_weights"], False)
            self.assertIs(figures["as_transplanted"]["chose_weights"], chose)
            self.assertEqual(result.stdout.count(",chose-weights]"), int(chose), result.stdout)
            card = (self.folder / out / "README.md").read_text()
            self.assertIs("these weights were chosen by their figure" in card, chose)

    def test_a_tokenizer_without_an_end_is_said_and_recorded(self):
        model, options = self.text_model(), self.texts()
        warning = "the tokenizer names no end-of-sequence token"
        for out, config, end in (("with", {"eos_token": "<|endoftext|>"}, 28), ("without", {}, None)):
            (model / "tokenizer_config.json").write_text(json.dumps(config))
            result = self.train(out, *options, model=model, steps=1)
            self.assertEqual(result.stderr.count(warning), int(end is None), result.stderr)
            self.assertEqual(self.training(out)["hyperparameters"]["end_of_sequence"], end)
        result = self.train("ids", steps=1)
        self.assertNotIn(warning, result.stderr)
        self.assertIsNone(self.training("ids")["hyperparameters"]["end_of_sequence"])
        self.assertIsNone(self.training("ids")["hyperparameters"]["lead_in"])
        self.assertIn("--ids are taken as they are",
                      self.train("no", "--lead-in", "bos", expect=2).stderr)

    def test_the_last_weights_are_candidates_for_the_best(self):
        model, options = self.text_model(), self.texts()
        self.train("out", *options, "--lr", "1e-3", "--evaluate-every", 2, "--patience", 3,
                   model=model, steps=5)
        training = self.training("out")["hyperparameters"]
        self.assertEqual(training["published_step"], 5)
        self.assertEqual([step for step, _ in self.evaluations("out")], [0, 2, 4, 5, 5])
        self.assertIn("--evaluate-every",
                      self.train("no", *options, "--patience", 3, model=model, expect=2).stderr)

    def test_the_average_is_published_and_the_weights_that_train_go_on(self):
        self.train("plain")
        self.train("averaged", "--ema", "0.5")
        self.assertEqual(self.losses("plain"), self.losses("averaged"))
        self.assertNotEqual(self.tensors("plain"), self.tensors("averaged"))
        training = self.training("averaged")["hyperparameters"]
        self.assertEqual(training["published_weights"], "average")
        self.assertEqual(float.fromhex(training["ema"]), 0.5)
        self.assertEqual(self.training("plain")["hyperparameters"]["published_weights"], "last")

    def test_resume_with_average_best_packing_and_cache_equals_the_straight_run(self):
        options = (*self.texts(), "--ema", "0.8", "--evaluate-every", 3, "--patience", 2, "--lr",
                   "3e-2", "--accumulate", 2)
        keywords = {"model": self.text_model(), "steps": 30}
        cache = ("--cache", self.folder / "cache")
        for precision, step, how in (("fp32", 1, signal.SIGKILL), ("fp32", 3, signal.SIGINT),
                                     ("fp32", 6, signal.SIGTERM), ("bf16", 4, signal.SIGKILL)):
            with self.subTest(precision=precision, step=step):
                more = (*options, "--precision", precision)
                straight, out = f"straight-{precision}", f"{precision}-{step}"
                if not (self.folder / straight).exists():
                    self.train(straight, *more, **keywords)
                self.stop_after(out, step, how, *more, *cache, **keywords)
                if not (self.folder / out).exists():
                    self.train(out, "--resume", *more, *cache, **keywords)
                self.assertEqual(self.tensors(out), self.tensors(straight))
                self.assertEqual(self.losses(out), self.losses(straight))
                self.assertEqual(self.evaluations(out), self.evaluations(straight))

    def resident_bytes(self, process):
        """Anonymous memory of a process; None once it has ended."""
        try:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        lines = [line for line in status.splitlines() if line.startswith("RssAnon:")]
        return int(lines[0].split()[1]) * 1024 if lines else None

    def test_memory_stays_flat_over_a_thousand_steps(self):
        """One leaked tensor of a step (32 tokens of 32 numbers) would be 4 MB in a thousand."""
        process = subprocess.Popen(self.command("out", "--threads", 1, "--save-every", 100, "--ema",
                                                "0.9", steps=1500), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        samples = []
        log = self.folder / "out.run" / "metrics.jsonl"
        while process.poll() is None:
            resident = self.resident_bytes(process)
            if resident and log.exists():
                samples.append((log.read_text().count('"event":"step"'), resident))
            time.sleep(0.005)
        self.assertEqual(process.returncode, 0, process.stderr.read())
        early = [resident for step, resident in samples if 300 <= step < 500]
        late = [resident for step, resident in samples if 1300 <= step < 1500]
        growth = statistics.median(late) - statistics.median(early)
        print(f"resident memory grew by {growth / 1024:.0f} KiB in 1,000 steps")
        self.assertLess(growth, 512 * 1024)

    def poisoned_model(self, token):
        """A copy of the model whose embedding of one token is NaN; the head is its own tensor."""
        model = self.folder / "poisoned"
        shutil.copytree(FIXTURE, model)
        tensors = read_safetensors(model / "model.safetensors")
        dtype, shape, raw = tensors["model.embed_tokens.weight"]
        if "lm_head.weight" not in tensors:
            tensors["lm_head.weight"] = (dtype, shape, raw)
            config = dict(CONFIG, tie_word_embeddings=False)
            (model / "config.json").write_text(json.dumps(config))
        width = len(raw) // shape[0]
        nan = struct.pack("<f", math.nan) * (width // 4)
        tensors["model.embed_tokens.weight"] = (
            dtype, shape, raw[:token * width] + nan + raw[(token + 1) * width:])
        for name in tensors:
            self.assertEqual(tensors[name][0], "F32")
        write_safetensors(model / "model.safetensors", tensors)
        return model

    def test_a_step_that_is_not_finite_leaves_the_parameters_as_they_were(self):
        token = CONFIG["vocab_size"] - 1  # write_ids never draws it
        model = self.poisoned_model(token)
        write_ids(self.folder / "ids.safetensors", windows=8, poison=token)
        # Four steps of two windows visit each window once: exactly one step meets the NaN.
        result = self.train("out", model=model, steps=4)
        records = self.records("out", "step")
        bad = [r for r in records if r["skipped"]]
        self.assertEqual([7 in r["windows"] for r in records], [r["skipped"] for r in records])
        self.assertEqual(len(bad), 1)
        self.assertIsNone(bad[0]["loss"])
        self.assertIn("(1 skipped)", result.stdout)
        for name, (_, _, raw) in read_safetensors(self.folder / "out/layer.00.safetensors").items():
            self.assertTrue(all(map(math.isfinite, floats(raw))), name)

    def test_three_such_steps_in_a_row_stop_with_the_last_good_state(self):
        token = CONFIG["vocab_size"] - 1
        model = self.poisoned_model(token)
        # The self-tests look at window 0, which must be clean; all others meet the NaN.
        write_ids(self.folder / "ids.safetensors", windows=1)
        tensors = read_safetensors(self.folder / "ids.safetensors")
        _, (_, length), raw = tensors["ids"]
        # Not a run of it to the end of the row, which the self-test for padding refuses.
        poisoned = (struct.pack("<q", token) * (length // 2 - 2) + struct.pack("<2q", 0, 1)) * 2
        write_safetensors(self.folder / "ids.safetensors",
                          {"ids": ("I64", [40, length], raw + poisoned * 39)})
        result = self.train("out", "--batch", 1, model=model, steps=40, expect=1)
        self.assertIn("not finite 3 steps in a row", result.stderr)
        self.assertFalse((self.folder / "out").exists())
        state = read_safetensors(self.newest_state("out").with_suffix(".safetensors"))
        self.assertTrue(all(map(math.isfinite, floats(state["master"][2]))))

    def test_bad_numbers_are_refused_with_nothing_written(self):
        for option, value in (("--lr", "0"), ("--lr", "nan"), ("--lr", "1e30"), ("--batch", "0"),
                              ("--batch", "2147483648"), ("--steps", "0"), ("--accumulate", "-1"),
                              ("--save-every", "-1"), ("--warmup-share", "1.5"),
                              ("--precision", "fp8"), ("--schedule", "step"), ("--mode", "both"),
                              ("--ema", "1"), ("--ema", "-0.1"), ("--pack", "best")):
            with self.subTest(option=option, value=value):
                result = self.train("out", option, value, expect=2)
                self.assertIn(option + ":", result.stderr)
                self.assertEqual([p.name for p in self.folder.iterdir()], ["ids.safetensors"])

    def test_bad_ids_are_refused(self):
        ids = self.folder / "ids.safetensors"
        for name, tensors, code, words in (
                ("vocabulary", {"ids": ("I64", [1, 2], struct.pack("<2q", 0, 10**6))}, 2,
                 "id 1000000"),
                ("negative", {"ids": ("I64", [1, 2], struct.pack("<2q", 0, -1))}, 2, "id -1"),
                ("type", {"ids": ("I32", [1, 2], bytes(8))}, 4, "expected I64"),
                ("empty", {"ids": ("I64", [0, 2], b"")}, 2, "no window"),
                ("missing", {"other": ("I64", [1, 2], bytes(16))}, 6, "ids")):
            with self.subTest(name):
                write_safetensors(ids, tensors)
                self.assertIn(words, self.train("out", expect=code).stderr)
                self.assertFalse((self.folder / "out").exists())

    def test_held_out_ids_are_measured_on(self):
        held_out = self.folder / "held-out.safetensors"
        write_ids(held_out, windows=4, seed=7)
        self.train("out", "--held-out-ids", held_out, steps=2)
        manifest = json.loads((self.folder / "out/organ.json").read_text())
        figures = {e["subject"]: e for e in manifest["evaluations"]}
        self.assertIn("recipient_untouched", figures)
        self.assertEqual(figures["recipient_untouched"]["tokens"], 4 * 15)
        evaluation = subprocess.run(
            [PROGRAM, "eval", str(FIXTURE), "--ids", str(held_out), "--json"],
            capture_output=True, text=True, check=True)
        self.assertAlmostEqual(json.loads(evaluation.stdout)["nll"],
                               float.fromhex(figures["recipient_untouched"]["nll"]), places=4)

    def test_held_out_ids_that_do_not_fit_are_refused(self):
        held_out = self.folder / "held-out.safetensors"
        write_ids(held_out, windows=4, length=8, seed=7)
        self.assertIn("windows of 8 tokens, but those to train on have 16",
                      self.train("out", "--held-out-ids", held_out, expect=2).stderr)
        for option, value in (("--held-out", "text"), ("--held-out-share", "0.5")):
            self.assertIn("--held-out", self.train("out", "--held-out-ids", held_out, option, value,
                                                   expect=2).stderr)
        self.assertIn("same contents", self.train("out", "--held-out-ids",
                                            self.folder / "ids.safetensors", expect=2).stderr)

    def test_an_existing_folder_is_never_overwritten(self):
        (self.folder / "out").mkdir()
        self.assertIn("exists already", self.train("out", expect=1).stderr)
        self.assertEqual(list((self.folder / "out").iterdir()), [])

    def test_the_wrapper_runs_the_organ_alone(self):
        self.train("situ")
        self.train("wrapper", "--mode", "wrapper")
        self.assertNotEqual(self.losses("situ")[0], self.losses("wrapper")[0])
        manifest = json.loads((self.folder / "wrapper/organ.json").read_text())
        self.assertEqual(manifest["training"]["mode"], "wrapper")

    def test_recovery_trains_the_neighbours_and_leaves_the_rest(self):
        result = subprocess.run(
            [PROGRAM, "recover", str(FIXTURE), "--layers", "0:1", "--ids",
             str(self.folder / "ids.safetensors"), "--out", str(self.folder / "out"), "--lr",
             "1e-2", "--precision", "fp32", "--steps", "3", "--batch", "2"],
            capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        before = read_safetensors(FIXTURE / "model.safetensors")
        after = read_safetensors(self.folder / "out/model.safetensors")
        self.assertEqual(before.keys(), after.keys())
        trained = ("model.layers.0.", "model.layers.1.")
        for name in before:
            if name.startswith(trained):
                continue
            self.assertEqual(before[name], after[name], name)
        changed = {name for name in before if before[name] != after[name]}
        self.assertTrue(any(name.startswith(trained[0]) for name in changed))
        self.assertTrue(any(name.startswith(trained[1]) for name in changed))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
