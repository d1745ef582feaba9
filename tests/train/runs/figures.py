# SPDX-License-Identifier: Apache-2.0
"""What `organ train` and `recover` record and leave: figures and how they were measured, the weights that
are published, the layers that trained and those that did not.

usage: figures.py ORGAN_TRAIN MODEL_FIXTURE     (standard library only)
"""
import json
import subprocess
import sys
import unittest

from run_case import FIXTURE, PROGRAM, RunCase, letters, write_ids
from tensor_file import read_safetensors


class Figures(RunCase):
    def training(self, out):
        return json.loads((self.folder / out / "organ.json").read_text())["training"]

    def test_the_preset_sets_what_the_command_line_leaves_open_and_says_so(self):
        ids = self.folder / "ids.safetensors"
        bare = [PROGRAM, "train", str(FIXTURE), f"--ids={ids}", "--layers=1:2", "--threads=2"]
        for name, more, epochs, seed, rate, kept in (
                ("all", (), 5, 42, 1e-4, None),
                ("some", ("--seed=7", "--lr=2e-4"), 5, 7, 2e-4, "--seed, --lr"),
                ("steps", ("--steps=3",), None, 42, 1e-4, "--epochs")):
            done = subprocess.run([*bare, "--preset=paper", *more, f"--out={self.folder / name}"],
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("preset paper (arXiv 2601.13580, appendix D)", done.stderr)
            if kept:
                self.assertIn(f"; not {kept}, as the command line says", done.stderr)
            training = self.training(name)
            settings = training["hyperparameters"]
            self.assertEqual(training["seed"], seed)
            self.assertEqual(settings["steps"], 3 if epochs is None else 20 * epochs // 4)
            self.assertEqual((settings["learning_rate"], settings["weight_decay"],
                              settings["warmup_share"], settings["schedule"], settings["batch"],
                              settings["precision"]), (rate, 0.01, 0.1, "cosine", 4, "bf16"))
        refused = subprocess.run([*bare, "--preset=best", f"--out={self.folder / 'no'}"],
                                 capture_output=True, text=True)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("--preset: 'best' is unknown, expected paper", refused.stderr)

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

    def test_what_is_set_aside_of_the_texts_is_said(self):
        model = self.text_model()
        names = [self.folder / f"{seed}.txt" for seed in (1, 2, 3)]
        for seed, name in enumerate(names):
            name.write_text(letters.random_text(seed, 60, 24)[:300])
        for out, share, said, far in (("near", 0.3, "held out: 1 of 3 texts, 33.3 % of the bytes", False),
                                      ("two", 0.6, "held out: 2 of 3 texts, 66.7 % of the bytes", False),
                                      ("far", 0.1, "held out: 1 of 3 texts, 33.3 % of the bytes", True)):
            command = self.command(out, "--data", names[0], "--held-out-share", share, "--documents",
                                   "blank-lines", "--context", 16, model=model, steps=1)
            done = subprocess.run([*command, "--data", *map(str, names[1:])], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual([line for line in done.stderr.splitlines() if line.startswith("held out: ")],
                             [said], done.stderr)
            warning = (f"warning: --held-out-share {share}: whole texts are held out, and 33.3 % of the "
                       "bytes are in those that were chosen\n")
            self.assertEqual(done.stderr.count("--held-out-share"), int(far), done.stderr)
            self.assertIs(warning in done.stderr, far, done.stderr)
        self.assertNotIn("held out: ", self.train("named", *self.texts(), model=model, steps=1).stderr)

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

    def test_both_models_of_a_comparison_are_read_before_one_is_measured(self):
        model, empty = self.text_model(), self.folder / "empty"
        empty.mkdir()
        for other in (self.folder / "none", empty):
            done = subprocess.run([PROGRAM, "eval", str(model), "--against", str(other), "--data",
                                   str(self.folder / "held_out.txt"), "--documents=blank-lines"],
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 6, done.stderr)
            self.assertEqual(done.stdout, "")

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
            self.assertEqual(done.stdout.count(f",lead=none,docs=blank-lines,{precision},cpu]"), 2, done.stdout)
            record = json.loads((self.folder / precision / "recovery.json").read_text())
            self.assertEqual((record["mode"], record["head"], record["stack"]), ("in_situ", "frozen", None))
            self.assertEqual(record["trained_tensors"], [one["tensor"] for one in record["changes"]])
            self.assertEqual(record["held_out_overlap"]["gram_tokens"], 13)
            for figure, folder in zip(record["evaluations"], (model, self.folder / precision),
                                      strict=True):
                self.assertEqual((figure["precision"], figure["device"], figure["lead_in"]),
                                 (precision, "cpu", []))
                recorded = figure["nll"]
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
        self.assertEqual(training["ema"], 0.5)
        self.assertEqual(self.training("plain")["hyperparameters"]["published_weights"], "last")

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
                               figures["recipient_untouched"]["nll"], places=4)

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
