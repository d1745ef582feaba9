# SPDX-License-Identifier: Apache-2.0
"""Figures that differ are labelled and recorded as different: every option of `organ eval` and
`organ train` that decides a figure stands in the label, in the record and in organ.json.

usage: labels.py ORGAN_TRAIN FIXTURES     (standard library only)
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import letters  # noqa: E402
from tensor_file import write_safetensors  # noqa: E402

PROGRAM, FIXTURES = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2])
SPECIAL = {"llama": [], "bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
           "t5": [f"<extra_id_{i}>" for i in range(6)]}
PAD = 5

# What each option of `organ eval` may be beside the usual, by family. The first of each list is the
# usual one with what the option needs to count.
EVAL = {
    "llama": {
        "--documents": [{}, {"--documents": "blank-lines"}, {"--documents": "end-of-text"}],
        "--lead-in": [{}, {"--lead-in": "bos"}],
        "--context": [{}, {"--context": 8}],
        "--stride": [{}, {"--stride": 8}],
        "--windows": [{}, {"--windows": 3}, {"--windows": 4}, {"--windows": 1000}],
        "--precision": [{}, {"--precision": "bf16"}],
        "--protocol": [{"--protocol": name} for name in
                       ("P0", "P0w", "P1", "P2", "P3", "P4", "P5", "P6")],
        "--batch": [{"--protocol": "P6"}, {"--protocol": "P6", "--batch": 2}],
        "--pad-id": [{"--protocol": "P1"}, {"--protocol": "P1", "--pad-id": PAD}],
        "--ids": [{"--data": None, "--ids": "rows.safetensors"},
                  {"--data": None, "--ids": "rows.safetensors", "--pad-id": PAD}],
        "--mask-seed": [{}, {"--mask-seed": 1}],
        "--threads": [{}, {"--threads": 1}],
    },
    "bert": {
        "--mask-seed": [{}, {"--mask-seed": 1}, {"--mask-seed": 2}],
        "--documents": [{}, {"--documents": "blank-lines"}],
        "--windows": [{}, {"--windows": 3}],
    },
    "t5": {
        "--mask-seed": [{}, {"--mask-seed": 1}, {"--mask-seed": 2}],
        "--windows": [{}, {"--windows": 3}],
    },
}
# What decides no figure, or which model and data it is of: no part of a label.
EVAL_OTHERS = {"--help", "--adapter", "--data", "--training-data", "--per-document", "--against",
               "--resamples", "--seed", "--device"}

# The same of `organ train`.
TRAIN = {
    "--layers": {"--layers": "0:1"}, "--mode": {"--mode": "wrapper"},
    "--documents": {"--documents": "file"}, "--lead-in": {"--lead-in": "bos"},
    "--context": {"--context": 8}, "--pack": {"--pack": "concat"}, "--batch": {"--batch": 3},
    "--accumulate": {"--accumulate": 2}, "--epochs": {"--steps": None, "--epochs": 1},
    "--steps": {"--steps": 5}, "--lr": {"--lr": "2e-2"}, "--warmup-share": {"--warmup-share": "0.5"},
    "--schedule": {"--schedule": "linear"}, "--weight-decay": {"--weight-decay": "0.5"},
    "--decay-all": {"--decay-all": True}, "--clip-norm": {"--clip-norm": "0.01"},
    "--ema": {"--ema": "0.5"}, "--seed": {"--seed": 3}, "--precision": {"--precision": "bf16"},
    "--evaluate-every": {"--evaluate-every": 1, "--patience": 1},
    "--patience": {"--evaluate-every": 2, "--patience": 1},
    "--held-out-share": {"--data": ["train.txt", "held_out.txt", "more.txt"], "--held-out": None,
                         "--held-out-share": "0.3"},
    "--data": {"--data": "more.txt"}, "--held-out": {"--held-out": "more.txt"},
    "--ids": {"--data": None, "--ids": "rows.safetensors"},
    "--pad-id": {"--data": None, "--ids": "rows.safetensors", "--pad-id": PAD},
    "--held-out-ids": {"--held-out": None, "--held-out-ids": "rows.safetensors"},
    "--pad-id of held-out ids": {"--held-out": None, "--held-out-ids": "rows.safetensors",
                                 "--pad-id": PAD},
    "--checkpoint-activations": {"--checkpoint-activations": True}, "--save-every": {"--save-every": 1},
    "--cache": {"--cache": "cache"}, "--cache-bytes": {"--cache-bytes": 1000},
}
# Names, places, what other options say too, and what this machine or family has not.
TRAIN_OTHERS = {"--help", "--middle-third", "--name", "--organ-version", "--description", "--license",
                "--data-license", "--donor", "--stack", "--out", "--run-dir", "--resume", "--draw",
                "--device", "--threads", "--preset"}
# What a record says of the result, not of what decides it.
RESULTS = {"nll", "ppl", "perplexity", "bits_per_byte", "tokens", "words", "windows", "padding", "sound",
           "failed_self_tests", "energy", "peak_memory_bytes", "device", "dataset"}


def options_of(command):
    """The options of its own that the help names."""
    shown = subprocess.run([PROGRAM, command, "--help"], capture_output=True, text=True, check=True)
    own = shown.stdout.split("\nOptions:\n")[1].split("\nGlobal options:\n")[0]
    return set(re.findall(r"^  (?:-\w,)?(--[a-z-]+)", own, re.MULTILINE))


def shown(figure):
    """As lines of people have it. Some processors sum a product in another order with other threads (AVX2
    does, AVX-512 does not): of the order of sums the library promises bits for one number of threads alone."""
    nll, tokens = figure
    return f"{nll:.6f}", tokens


class Labels(unittest.TestCase):
    def setUp(self):
        self.known = {}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="organ-labels"))
        self.addCleanup(shutil.rmtree, self.folder)
        for family, special in SPECIAL.items():
            model = self.folder / family
            shutil.copytree(FIXTURES / family, model)
            letters.write_tokenizer(model, special)
            settings = json.loads((model / "tokenizer_config.json").read_text())
            settings["bos_token"] = settings["eos_token"]
            (model / "tokenizer_config.json").write_text(json.dumps(settings))
        for name, seed in (("train.txt", 1), ("held_out.txt", 2), ("more.txt", 3)):
            text = letters.random_text(seed, 30, 24).split("\n\n")
            (self.folder / name).write_text("\n\n".join(text[:20]) + "\n\n".join(text[20:]))
        rows = [[(7 * row + place) % 24 for place in range(16 - row // 3)] + [PAD] * (row // 3)
                for row in range(9)]
        flat = b"".join(id_.to_bytes(8, "little") for row in rows for id_ in row)
        write_safetensors(self.folder / "rows.safetensors", {"ids": ("I64", [9, 16], flat)})

    def run_program(self, command, model, options):
        words = [PROGRAM, command, self.folder / model]
        for name, value in options.items():
            for one in value if isinstance(value, list) else [value]:
                if one is True:
                    words.append(name)
                elif one is not None:
                    words.append(f"{name}={one}")
        done = subprocess.run(words, capture_output=True, text=True, cwd=self.folder, check=False)
        self.assertEqual(done.returncode, 0, (words, done.stderr))
        return done.stdout

    def measured(self, family, changed):
        """(figure, label, what the record says decides it) of one measurement."""
        key = json.dumps([family, changed])
        if key not in self.known:
            self.known[key] = self.measure(family, changed)
        return self.known[key]

    def measure(self, family, changed):
        options = {"--data": "held_out.txt", "--context": 16, "--threads": 2, **changed}
        shown = self.run_program("eval", family, options).splitlines()
        label = next(line for line in shown if not line.startswith("***")).split("] ")[0]
        record = json.loads(self.run_program("eval", family, {**options, "--json": True}))
        deciding = {key: value for key, value in record.items() if key not in RESULTS}
        deciding["dataset"] = record["dataset"]["sha256"]
        if "padding" in record:
            deciding["fill"] = record["padding"]["id"]
        return (record["nll"], record["tokens"]), label, json.dumps(deciding, sort_keys=True)

    def test_measurements_that_differ_in_one_option_share_no_label_unless_they_share_the_figure(self):
        named = {option for options in EVAL.values() for option in options} | EVAL_OTHERS
        self.assertEqual(named, options_of("eval"), "each option of organ eval needs a word here")
        for family, options in EVAL.items():
            differed = 0
            for option, variants in options.items():
                with self.subTest(family=family, option=option):
                    measured = [self.measured(family, changed) for changed in variants]
                    for figures in (label for _, label, _ in measured), (each for _, _, each in measured):
                        said = {}
                        for (figure, _, _), words in zip(measured, figures, strict=True):
                            figure = shown(figure) if option == "--threads" else figure
                            self.assertEqual(said.setdefault(words, figure), figure, words)
                    differed += len({figure for figure, _, _ in measured}) > 1
            self.assertGreater(differed, 0)

    def trained(self, name, changed):
        """(weights and figures, what organ.json says decides them) of one run."""
        options = {"--layers": "1:2", "--data": "train.txt", "--held-out": "held_out.txt",
                   "--documents": "blank-lines", "--context": 16, "--steps": 6, "--lr": "1e-2",
                   "--precision": "fp32", "--threads": 2, "--batch": 2, "--out": name, **changed}
        self.run_program("train", "llama", options)
        organ = json.loads((self.folder / name / "organ.json").read_text())
        figures = [(e["nll"], e["tokens"]) for e in organ["evaluations"]]
        weights = [f["digest"] for f in organ["files"] if f["role"] == "layer"]
        deciding = [organ["extraction"], {**organ["training"], "changes": None, "wall_milliseconds": None},
                    [{k: v for k, v in e.items() if k not in RESULTS} for e in organ["evaluations"]]]
        return (figures, weights), json.dumps(deciding, sort_keys=True)

    def test_organs_that_were_made_or_measured_otherwise_say_so(self):
        named = {option.split()[0] for option in TRAIN} | TRAIN_OTHERS
        self.assertEqual(named, options_of("train"), "each option of organ train needs a word here")
        said, differed = {}, set()
        for number, (option, changed) in enumerate({"the usual": {}, **TRAIN}.items()):
            with self.subTest(option=option):
                result, words = self.trained(f"organ{number}", changed)
                self.assertEqual(said.setdefault(words, result), result, words)
                differed.add(json.dumps(result))
        self.assertGreater(len(differed), len(TRAIN) - 8)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
