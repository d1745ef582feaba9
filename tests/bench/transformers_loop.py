# SPDX-License-Identifier: Apache-2.0
"""The rival of `organ train`: a plain transformers loop that trains some layers and freezes the rest.

    transformers_loop.py MODEL TEXT_FILE... --layers 10:13 --steps 4 --precision bf16

Prints one JSON record: seconds of each step after the warm-up step, tokens per step, losses.
"""
import argparse
import json
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def batches(tokenizer, files, batch, context):
    ids = [i for f in files for i in tokenizer(Path(f).read_text(), verbose=False).input_ids]
    windows = torch.tensor(ids[:len(ids) // context * context]).reshape(-1, context)
    while True:
        for start in range(0, len(windows) - batch + 1, batch):
            yield windows[start:start + batch]


def freeze_all_but(model, first, end):
    model.requires_grad_(False)
    for layer in model.model.layers[first:end]:
        layer.requires_grad_(True)
    return [p for p in model.parameters() if p.requires_grad]


def loop_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("texts", nargs="+")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    return parser


def load_model(options):
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    return AutoModelForCausalLM.from_pretrained(options.model, dtype=dtype)


def run(model, trained, options):
    model.train()
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.01)
    source = batches(AutoTokenizer.from_pretrained(options.model), options.texts, options.batch,
                     options.context)
    seconds, losses = [], []
    for _ in range(options.steps + 1):
        start = time.perf_counter()
        ids = next(source)
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"tokens_per_step": options.batch * options.context,
                      "step_seconds": seconds[1:], "losses": losses}))


def main():
    parser = loop_arguments()
    parser.add_argument("--layers", default="10:13")
    options = parser.parse_args()
    model = load_model(options)
    run(model, freeze_all_but(model, *map(int, options.layers.split(":"))), options)


if __name__ == "__main__":
    main()
