#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What transformers says about the loss of a model on fixed windows of token ids, in fp32.

usage: reference_nll.py MODEL TEXT OUT.safetensors --context N --windows N

Encodes TEXT with the model's tokenizer.json and what that puts before a text (<s>, where it has one),
writes the first non-overlapping windows as I64 `ids` [windows, context] and prints one JSON line: tokens, nll (mean over real
targets), ppl. `organ eval MODEL --ids OUT.safetensors` must print the same.
"""
import argparse
import json
import math
import pathlib

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--windows", type=int, default=8)
    return parser.parse_args()


def main():
    args = arguments()
    tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    text = args.text.read_text(encoding="utf-8")
    ids = tokenizer.encode(text).ids
    count = min(args.windows, len(ids) // args.context)
    windows = torch.tensor(ids[: count * args.context]).view(count, args.context)
    save_file({"ids": windows}, args.out)
    model = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32)
    total = 0.0
    with torch.inference_mode():
        for row in windows:
            logits = model(row[None]).logits[0, :-1]
            total += torch.nn.functional.cross_entropy(logits, row[1:], reduction="sum").item()
    tokens = count * (args.context - 1)
    print(json.dumps({"tokens": tokens, "nll": total / tokens, "ppl": math.exp(total / tokens)}))


if __name__ == "__main__":
    main()
