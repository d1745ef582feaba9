# SPDX-License-Identifier: Apache-2.0
"""All commands that claim durability, and what both sweeps do with them."""
import shutil
import sys
from pathlib import Path

from care import Collect, Fsck, Purge, Repair, Takedown
from commands import (Extract, Install, InstallBeside, KeyGenerate, Publish, Rebuild, RegistryInit,
                      RegistryInitDeep, RegistryInitInside, Sign, SignAgain, Uninstall)
from exchange import Export, ExportLayers, ExportLayout, ImportLayers, ImportLayout
from log_commands import Cosign, Renew, Rotate
from training import Import, Recover, Train, TrainAdapter, TrainLayers, TrainStopped, WithData

CASES = (Extract, KeyGenerate, Sign, SignAgain, RegistryInit, RegistryInitInside, RegistryInitDeep,
         Publish, Rebuild, Rotate, Renew, Cosign, Fsck, Repair, Collect, Purge, Takedown, Install, Uninstall,
         InstallBeside, Export,
         ExportLayers, ExportLayout, ImportLayers, ImportLayout, Import, Train, TrainStopped, Recover,
         TrainLayers, TrainAdapter)


def chosen(program, names):
    """The cases of these names, or all that this program can run."""
    can_train = (program.parent / "organ-train").exists()
    return [case for case in CASES if (not names or case.name in names) and
            (can_train or not issubclass(case, (Import, WithData)))]


def template(case, scratch):
    """The state before the command, in a folder of its own."""
    home = scratch / "before"
    home.mkdir()
    case.prepare(home)
    return home


def copy_of(template_folder, target):
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(template_folder, target)
    return target


def options(usage):
    """--every N, the program and the names of cases from the command line."""
    arguments, every = sys.argv[1:], 1
    if "--every" in arguments:
        at = arguments.index("--every")
        every = int(arguments[at + 1])
        del arguments[at:at + 2]
    if not arguments:
        sys.exit(usage)
    return every, Path(arguments[0]).resolve(), arguments[1:]
