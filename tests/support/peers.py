# SPDX-License-Identifier: Apache-2.0
"""What tests need that compare with Python packages: the packages' Python, models and data.

The tests run under a Python with the standard library alone. $ORGAN_PEERS is an environment with the
packages, $ORGAN_MODELS and $ORGAN_SHARED are folders; `./dev setup` prepares them. A test that
lacks one of them says which and exits 77, which meson counts as skipped.
"""
import importlib.util
import os
import pathlib
import sys


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def python(*packages):
    """The peers' Python; `packages` are named in the reason where there is none."""
    listed = " and ".join(filter(None, [", ".join(packages[:-1]), *packages[-1:]]))
    interpreter = pathlib.Path(os.environ.get("ORGAN_PEERS", "")) / "bin" / "python"
    if not os.environ.get("ORGAN_PEERS") or not interpreter.is_file():
        skip(f"ORGAN_PEERS names no Python with {listed}")
    return interpreter


def enter(*packages):
    """Runs the test again with the peers' Python unless this one has the packages."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if not missing:
        return
    interpreter = python(*packages)
    if os.environ.get("ORGAN_IN_PEERS"):
        skip(f"ORGAN_PEERS lacks {', '.join(missing)}")
    os.environ["ORGAN_IN_PEERS"] = "1"
    os.execv(interpreter, [str(interpreter), *sys.argv])


def model(name):
    """The folder of a real model."""
    folder = pathlib.Path(os.environ.get("ORGAN_MODELS", "")) / name
    if not os.environ.get("ORGAN_MODELS") or not (folder / "model.safetensors").is_file():
        skip(f"ORGAN_MODELS holds no {name}")
    return folder


def shared_data(part):
    """The folder of the shared data, which has the file or folder `part`."""
    folder = pathlib.Path(os.environ.get("ORGAN_SHARED", "../shared")) / "data"
    if not (folder / part).exists():
        skip(f"ORGAN_SHARED has no {part}")
    return folder
