#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the digest that tests/format/tensor/mxfp4_test.cc compares with: SHA-256 over the BF16 numbers
that transformers makes of every byte with every MXFP4 scale from 0 to 254, scale by scale.

usage: mxfp4_table.py   (needs torch, transformers)
"""
import hashlib

import torch
from transformers.integrations.mxfp4 import convert_moe_packed_tensors


def main():
    digest = hashlib.sha256()
    for scale in range(255):
        blocks = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
        scales = torch.full((1, 1, 16), scale, dtype=torch.uint8)
        digest.update(convert_moe_packed_tensors(blocks, scales, dtype=torch.bfloat16)
                      .contiguous().view(torch.int16).numpy().tobytes())
    print(digest.hexdigest())


if __name__ == "__main__":
    main()
