# SPDX-License-Identifier: Apache-2.0
"""Holds the program organ-train beside the package torch, whose LibTorch it loads."""
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

LIBRARY = Path("lib") / "libtorch_cpu.so"


def environment(here: Path) -> dict[str, str]:
    """For the loader: where LibTorch is, unless it is where pip puts it, beside this package.

    There the program's RPATH (no RUNPATH: meson.build) finds it, and LD_LIBRARY_PATH is asked later.
    A layered environment (--user, --target, --system-site-packages) may have torch elsewhere: where
    Python would import it from. Then the RPATH leads nowhere and LD_LIBRARY_PATH counts.
    """
    if (here.parent / "torch" / LIBRARY).exists():
        return dict(os.environ)
    spec = find_spec("torch")  # looks for it, runs nothing of it
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / LIBRARY).exists():
            folders = [str(Path(folder) / LIBRARY.parent), os.environ.get("LD_LIBRARY_PATH")]
            return os.environ | {"LD_LIBRARY_PATH": ":".join(filter(None, folders))}
    return dict(os.environ)


def run_train_program() -> None:
    """The console script organ-train: becomes the program of this folder."""
    # Python ignores these, and what is ignored stays so in the program.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    here = Path(__file__).parent
    os.execve(here / "organ-train", ["organ-train", *sys.argv[1:]], environment(here))
