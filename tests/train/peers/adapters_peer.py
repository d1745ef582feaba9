# SPDX-License-Identifier: Apache-2.0
"""PEFT and `organ baseline`/`organ import` read each other's adapters: what organ trains, PEFT loads
with the loss organ measured; what organ merges is W + dW within one unit of the stored type.

usage: adapters_peer.py ORGAN_TRAIN FIXTURES SCHEMAS     (peers environment; skips without)
"""
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import peers  # noqa: E402

peers.enter("torch", "transformers", "peft", "jsonschema")

import jsonschema  # noqa: E402  (these are in the peers environment only)
import numpy  # noqa: E402
import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

PROGRAM, FIXTURES, SCHEMAS = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
METHODS = {"lora": ["--rank", "4", "--alpha", "8"],
           "lora all": ["--targets", "all-linear", "--rank", "2", "--rslora"],
           "lora two": ["--layers", "1:3", "--targets", "o_proj", "up_proj"],
           "ia3": [], "ia3 one": ["--layers", "2:3"]}


def organ(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments), "--json"], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise AssertionError(f"{arguments}: exit {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def write_ids(path, vocabulary, windows=16, length=24, seed=5):
    rows = random.Random(seed)
    ids = [[rows.randrange(vocabulary) for _ in range(length)] for _ in range(windows)]
    save_file({"ids": torch.tensor(ids)}, path)
    return torch.tensor(ids)


def load(model, dtype=torch.float32):
    return transformers.AutoModelForCausalLM.from_pretrained(model, dtype=dtype).eval()


def mean_nll(model, ids):
    with torch.no_grad():
        return model(input_ids=ids, labels=ids).loss.item()


def ulps(a, b):
    """Distance in units in the last place of bf16."""
    def ordered(t):
        bits = t.contiguous().view(torch.int16).to(torch.int32)
        return torch.where(bits < 0, -32768 - bits, bits)
    return (ordered(a) - ordered(b)).abs().max().item()


def own_nll(model, ids):
    """Mean over the targets that organ counts: behind virtual tokens a text's first token has none."""
    with torch.no_grad():
        logits = model(input_ids=ids).logits[:, -ids.shape[1]:-1]
    return torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]),
                                             ids[:, 1:].reshape(-1)).item()


# method: options and the models they are tried on (grouped key heads; learned positions)
VIRTUAL = {"prompt": ["--virtual-tokens", "4"], "prompt random": ["--init", "random"],
           "prefix": ["--virtual-tokens", "4"], "prefix zero": ["--init", "zero"]}


class Adapters(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        self.model = FIXTURES / "llama"
        vocabulary = json.loads((self.model / "config.json").read_text())["vocab_size"]
        self.ids = write_ids(self.folder / "ids.safetensors", vocabulary)

    def train(self, method, out, options=(), precision="fp32"):
        usual = {"--steps": 6, "--lr": 0.02}
        return organ("baseline", method, self.model, "--ids", self.folder / "ids.safetensors",
                     *(word for name, value in usual.items() if name not in options
                       for word in (name, value)),
                     "--precision", precision, "--threads", 1, "--out", out, *options)

    def evaluate(self, model, *options):
        return organ("eval", model, "--ids", self.folder / "ids.safetensors", "--threads", 1,
                     *options)["nll"]

    def test_peft_loads_what_organ_trained(self):
        untrained = mean_nll(load(self.model), self.ids)
        for name, options in METHODS.items():
            with self.subTest(name):
                out = self.folder / name.replace(" ", "-")
                record = self.train(name.split()[0], out, options)
                adapted = peft.PeftModel.from_pretrained(load(self.model), out)
                adapted.eval()
                trained = mean_nll(adapted, self.ids)
                self.assertLess(trained, untrained)
                numbers = sum(t.numel() for t in load_file(out / "adapter_model.safetensors").values())
                self.assertEqual(record["trainable_parameters"], numbers)
                self.assertAlmostEqual(self.evaluate(self.model, "--adapter", out), trained,
                                       delta=1e-5)
                merged = self.folder / (out.name + "-merged")
                organ("import", out, "--into", self.model, "--out", merged)
                self.assertAlmostEqual(mean_nll(load(merged), self.ids), trained, delta=1e-5)

    def test_peft_loads_the_virtual_tokens_that_organ_trained(self):
        for name, options in VIRTUAL.items():
            for model in ("llama", "gpt2"):
                with self.subTest(name, model=model):
                    self.check_virtual_tokens(name, options, FIXTURES / model)

    def check_virtual_tokens(self, name, options, model):
        out = self.folder / f"{name.replace(' ', '-')}-{model.name}"
        self.model = model
        vocabulary = json.loads((model / "config.json").read_text())["vocab_size"]
        write_ids(self.folder / "ids.safetensors", vocabulary)
        held_out = write_ids(self.folder / "held_out.safetensors", vocabulary, windows=5, seed=6)
        record = self.train(name.split()[0], out, [
            *options, "--held-out-ids", self.folder / "held_out.safetensors", "--steps", 40,
            "--lr", 0.05])
        adapted, plain = peft.PeftModel.from_pretrained(load(model), out).eval(), load(model)
        trained = own_nll(adapted, self.ids)
        self.assertLess(trained, own_nll(plain, self.ids))
        numbers = load_file(out / "adapter_model.safetensors")
        self.assertEqual(list(numbers), ["prompt_embeddings"])
        self.assertEqual(record["trainable_parameters"], numbers["prompt_embeddings"].numel())
        self.assertAlmostEqual(self.evaluate(model, "--adapter", out), trained, delta=1e-5)
        # What is called untouched is the model without them.
        untouched, after = record["evaluations"]
        self.assertEqual(untouched["subject"], "recipient_untouched")
        self.assertAlmostEqual(untouched["nll"], own_nll(plain, held_out), delta=1e-5)
        self.assertAlmostEqual(after["nll"], own_nll(adapted, held_out), delta=1e-5)
        done = subprocess.run([PROGRAM, "import", out, "--into", model, "--out",
                               self.folder / "merged"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("organ eval --adapter", done.stderr)

    def test_bottlenecks_train_and_cannot_be_merged(self):
        out = self.folder / "bottleneck"
        record = self.train("bottleneck", out, ["--bottleneck", "4"])
        self.assertLess(self.evaluate(self.model, "--adapter", out), self.evaluate(self.model))
        self.assertEqual(record["trainable_parameters"], 3 * 2 * (2 * 4 * 32 + 4 + 32))
        done = subprocess.run([PROGRAM, "import", out, "--into", self.model, "--out",
                               self.folder / "merged"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("cannot be merged", done.stderr)

    def test_the_same_layers_in_place(self):
        out = self.folder / "same"
        record = self.train("same_layers", out, ["--layers", "1:2"])
        before, after = (load_file(m / "model.safetensors") for m in (self.model, out))
        changed = {n for n in before if not torch.equal(before[n], after[n])}
        self.assertTrue(changed and all(".layers.1." in n for n in changed))
        self.assertEqual(record["trainable_parameters"], sum(
            t.numel() for n, t in before.items() if ".layers.1." in n))

    def test_full_training_changes_every_tensor_and_transformers_loads_it(self):
        stored = load_file(FIXTURES / "llama_odd" / "model.safetensors")
        twice = self.folder / "twice"  # a tied head that lies in the file too
        shutil.copytree(FIXTURES / "llama_odd", twice)
        save_file(stored | {"lm_head.weight": stored["model.embed_tokens.weight"].clone()},
                  twice / "model.safetensors", metadata={"format": "pt"})
        for model in (FIXTURES / "llama", FIXTURES / "llama_odd", FIXTURES / "gpt2", twice):
            with self.subTest(model=model.name):
                self.check_full(model)

    def check_full(self, model):
        out, self.model = self.folder / f"full-{model.name}", model
        vocabulary = json.loads((model / "config.json").read_text())["vocab_size"]
        write_ids(self.folder / "ids.safetensors", vocabulary)
        record = self.train("full", out)
        jsonschema.validate(record, json.loads((SCHEMAS / "baseline.v1.schema.json").read_text()))
        before, after = (load_file(m / "model.safetensors") for m in (model, out))
        self.assertEqual(before.keys(), after.keys())
        self.assertTrue(all(not torch.equal(before[n], after[n]) for n in before))
        trained = load(out)
        parameters = sum(p.numel() for p in trained.parameters())  # a tied head counts once
        self.assertEqual(record["trainable_parameters"], parameters)
        self.assertAlmostEqual(self.evaluate(out), own_nll(trained, self.ids), delta=1e-5)
        self.assertLess(own_nll(trained, self.ids), own_nll(load(model), self.ids))

    def test_full_training_takes_the_steps_of_torch_s_adamw(self):
        """One step over all windows, its rate after the first update of Adam being the rate itself."""
        model = load(self.model)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0)
        out = self.folder / "full"
        self.train("full", out, ["--batch", 16, "--steps", 1, "--lr", 1e-3, "--weight-decay", 0,
                                 "--clip-norm", 0, "--warmup-share", 0, "--schedule", "constant"])
        model(input_ids=self.ids, labels=self.ids).loss.backward()
        optimizer.step()
        ours = load_file(out / "model.safetensors")
        for name, parameter in model.named_parameters():
            # Where the gradient is rounding alone its sign, and so the step, is anybody's.
            sure = parameter.grad.abs() > 1e-6
            self.assertLess((ours[name] - parameter.detach())[sure].abs().max().item(), 1e-5, name)

    def test_the_layers_of_largest_gradient(self):
        model = load(self.model)
        model(input_ids=self.ids, labels=self.ids).loss.backward()
        mean = [numpy.mean(numpy.concatenate(
            [p.grad.abs().flatten().numpy() for p in layer.parameters()]), dtype="f8")
            for layer in model.model.layers]
        chosen = sorted(int(i) for i in numpy.argsort(mean)[::-1][:2])
        out = self.folder / "top"
        record = self.train("top_k_layers", out, ["--count", "2", "--batch", "16"])
        self.assertEqual(record["config"]["layers"], chosen)
        ours = numpy.array(record["config"]["gradient_magnitudes"])
        numpy.testing.assert_allclose(ours / ours.sum(), numpy.array(mean) / sum(mean), rtol=1e-4)
        before, after = (load_file(m / "model.safetensors") for m in (self.model, out))
        changed = {int(n.split(".")[2]) for n in before if not torch.equal(before[n], after[n])}
        self.assertEqual(sorted(changed), chosen)

    def test_the_weights_of_largest_gradient(self):
        model = load(self.model)
        model(input_ids=self.ids, labels=self.ids).loss.backward()
        gradient = {n: p.grad.abs() for n, p in model.named_parameters() if ".layers." in n}
        flat = torch.cat([g.flatten() for g in gradient.values()])
        out = self.folder / "top"
        record = self.train("top_k", out, ["--share", "0.05", "--batch", "16"])
        count = round(0.05 * flat.numel())
        self.assertEqual(record["trainable_parameters"], count)
        limit = flat.sort(descending=True).values[count - 1].item()
        before, after = (load_file(m / "model.safetensors") for m in (self.model, out))
        moved = 0
        for name in before:
            changed = before[name] != after[name]
            moved += changed.sum().item()
            if name not in gradient:
                self.assertFalse(changed.any(), name)
                continue
            # Rounding may exchange elements whose gradients lie at the limit.
            self.assertGreater(gradient[name][changed].min().item() if changed.any() else limit,
                               limit * (1 - 1e-4), name)
        self.assertGreater(moved, 0.99 * count)
        self.assertLessEqual(moved, count)
        self.assertLess(mean_nll(load(out), self.ids), mean_nll(load(self.model), self.ids))

    def test_merging_in_bf16_is_peft_s_within_one_unit(self):
        model = self.folder / "bf16"
        load(self.model, torch.bfloat16).save_pretrained(model)
        for name in ("lora", "ia3"):
            with self.subTest(name):
                adapter = FIXTURES.parent / "adapters" / name
                merged = self.folder / f"merged-{name}"
                organ("import", adapter, "--into", model, "--out", merged)
                ours = load_file(merged / "model.safetensors")
                exact = peft.PeftModel.from_pretrained(load(model), adapter).merge_and_unload()
                for key, tensor in exact.named_parameters():
                    if key in ours:
                        self.assertLessEqual(ulps(ours[key], tensor.detach().bfloat16()), 1, key)

    def test_one_seed_gives_one_adapter(self):
        weights = []
        for name in "ab":
            self.train("lora", self.folder / name, precision="bf16")
            weights.append((self.folder / name / "adapter_model.safetensors").read_bytes())
        self.assertEqual(*weights)

    def test_the_report_is_what_its_schema_says(self):
        out = self.folder / "out"
        record = self.train("lora", out, precision="bf16")
        schema = json.loads((SCHEMAS / "baseline.v1.schema.json").read_text())
        jsonschema.validate(record, schema)
        stored = json.loads((out / "baseline.json").read_text())
        jsonschema.validate(stored, schema)
        self.assertEqual(record["config"], stored["config"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
