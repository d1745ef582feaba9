#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/ends/<model>.safetensors: for the models of make_train_fixtures.py, by
autograd in fp32, d(loss / targets)/d(tensor) of every tensor outside of the layers (embeddings, the
norm behind the last layer, the head), for the ids and targets of the model's own reference; names
as in its file. bf16_error: 1 - cosine of all of them at once, and the same when the model is bf16.

usage: make_end_fixtures.py MODELS_FOLDER OUTPUT_FOLDER   (needs torch, transformers)
"""
import pathlib
import re
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file

MODELS = ["llama", "llama_odd", "mistral", "qwen2", "qwen3", "gpt2", "gpt2_odd", "gpt_oss"]
LAYER = re.compile(r"\.(layers|h)\.\d+\.")


def gradients(folder, dtype, stored):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", experts_implementation="eager").eval()
    base = load_file(folder / "reference.safetensors")
    logits = model(input_ids=base["ids"]).logits
    targets = base["targets"].reshape(-1)
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]).float(), targets,
                                             ignore_index=-1, reduction="sum")
    (loss / (targets >= 0).sum()).backward()
    return {name if name in stored else name.removeprefix("transformer."): p.grad.float()
            for name, p in model.named_parameters() if not LAYER.search(name)}


def main():
    models, target = map(pathlib.Path, sys.argv[1:3])
    target.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name in MODELS:
        stored = load_file(models / name / "model.safetensors")
        exact, rounded = (gradients(models / name, dtype, stored)
                          for dtype in (torch.float32, torch.bfloat16))
        a, b = (torch.cat([g[n].flatten().double() for n in sorted(exact)]) for g in (rounded, exact))
        error = 1 - torch.nn.functional.cosine_similarity(a, b, dim=0)
        save_file(exact | {"bf16_error": error.float().reshape(1)}, target / f"{name}.safetensors")
        print(f"{name}: {', '.join(exact)}; bf16 error {error:.2e}")


if __name__ == "__main__":
    main()
