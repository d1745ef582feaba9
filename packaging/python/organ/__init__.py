# SPDX-License-Identifier: Apache-2.0
"""Holds the program organ-train beside the package torch, whose LibTorch it loads."""
import os
import sys
from pathlib import Path


def run_train_program() -> None:
    """The console script organ-train: becomes the program of this folder."""
    os.execv(Path(__file__).parent / "organ-train", ["organ-train", *sys.argv[1:]])
