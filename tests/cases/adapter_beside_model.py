# SPDX-License-Identifier: Apache-2.0
"""An adapter that lies in its model's own folder: transformers computes with it. What computes
without it refuses, what reads or changes the weights says so by name, and no copy has half of it.

    adapter_beside_model.py ORGAN_PROGRAM
"""
import shutil
import sys

from support import (Case, add_tokenizer, copy, load, make, peers, save_lora,
                     transformer_loss)

peers.enter("torch", "transformers", "safetensors", "peft")
import peft  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

CONFIG = "adapter_config.json"


def refused(case, model, ids):
    out = case.folder / "never"
    train = ["--ids", ids, "--steps", 1, "--threads", 1, "--precision", "fp32", "--out", out]
    for what, words in (
            ("eval", ["eval", model, "--ids", ids]),
            ("eval with another adapter",
             ["eval", model, "--ids", ids, "--adapter", case.folder / "adapter"]),
            ("generate", ["generate", model, "--prompt", "hello"]),
            ("train", ["train", model, "--layers", "1:2", *train]),
            ("recover", ["recover", model, "--layers", "1:2", *train]),
            *((f"baseline {method}", ["baseline", method, model, *train])
              for method in ("full", "lora", "top_k_layers"))):
        done = case.organ(*words)
        case.expect(f"{what}: refused with the ways out",
                    done.returncode == 3 and CONFIG in done.stderr and "--adapter" in done.stderr
                    and "import" in done.stderr, f"exit {done.returncode}: {done.stderr.strip()}")
        case.expect(f"{what}: nothing is written", not out.exists())


def warned(case, plain, model):
    organ = case.folder / "organ"
    for what, words in (("inspect", ["inspect", model]),
                        ("extract", ["extract", model, "--layers", "1:3", "--out", organ]),
                        ("check", ["check", organ, "--recipient", model, "--at", 1]),
                        ("install", ["install", organ, "--into", model, "--at", 1,
                                     "--allow-unsigned"])):
        done = case.works(f"{what}: goes on", *words)
        case.expect(f"{what}: names it", CONFIG in done.stderr, done.stderr.strip())
    case.works("it is taken out again", "uninstall", model)
    done = case.works("the model alone", "check", organ, "--recipient", plain, "--at", 1)
    case.expect("the model alone: no word", CONFIG not in done.stderr, done.stderr.strip())


def copies(case, model, adapter, ids):
    """Folders that organ makes of it: transformers loads them, and they are what they should be."""
    beside = copy(model, case.folder / "run")
    (beside / "optimizer.pt").write_bytes(b"x")
    (beside / "trainer_state.json").write_text('{"global_step": 3}')
    merged = transformer_loss(peft.PeftModel.from_pretrained(load(case.folder / "plain"),
                                                             adapter).eval(), ids)
    plain = transformer_loss(load(case.folder / "plain"), ids)
    for what, right, words in (
            ("import", merged, ["import", beside, "--into", beside]),
            ("install --out", plain, ["install", case.folder / "organ", "--into", beside, "--at", 1,
                                      "--allow-unsigned"])):
        out = case.folder / f"copy-{words[0]}"
        case.works(what, *words, "--out", out)
        names = {p.name for p in out.iterdir()}
        case.expect(f"{what}: no half of a pair",
                    not names & {CONFIG, "adapter_model.safetensors", "optimizer.pt",
                                 "trainer_state.json"}, sorted(names))
        got = transformer_loss(load(out), ids)
        case.expect(f"{what}: transformers loads it", abs(got - right) < 1e-4, (got, right))
        measured, done = case.loss(out, case.folder / "ids")
        case.expect(f"{what}: and organ has the same loss",
                    measured is not None and abs(measured - right) < 1e-4, done.stderr)


def main():
    case = Case(sys.argv[1])
    if not case.can_measure:
        peers.skip("organ-train is not built")
    ids = torch.randint(0, 257, (4, 24), generator=torch.Generator().manual_seed(3))
    save_file({"ids": ids}, str(case.folder / "ids"))
    plain = add_tokenizer(make("llama", case.folder / "plain", tie_word_embeddings=False))
    adapter = save_lora(plain, case.folder / "adapter", r=4, lora_alpha=8,
                        target_modules=["q_proj", "v_proj"])
    model = copy(plain, case.folder / "model")
    for name in (CONFIG, "adapter_model.safetensors"):
        shutil.copy(adapter / name, model)
    right = transformer_loss(load(model), ids)
    case.expect("transformers computes with it",
                abs(right - transformer_loss(load(plain), ids)) > 1e-3, right)
    refused(case, model, case.folder / "ids")
    got, done = case.loss(model, case.folder / "ids", "--adapter", model)
    case.expect("eval --adapter with the folder itself", got is not None and
                abs(got - right) < 1e-4, f"{got} / {right}: {done.stderr.strip()}")
    warned(case, plain, model)
    copies(case, model, adapter, ids)
    case.end()


main()
