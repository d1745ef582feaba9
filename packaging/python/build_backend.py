# SPDX-License-Identifier: Apache-2.0
"""meson-python, which also says where LibTorch is taken from: the folder ORGAN_TORCH_ROOT, which
holds an unpacked torch wheel, or else the torch wheel that pip installs for the build."""
import os
import tomllib

import mesonpy
from mesonpy import build_sdist, get_requires_for_build_sdist  # noqa: F401


def torch_requirement():
    with open("pyproject.toml", "rb") as file:
        needed = tomllib.load(file)["project"]["dependencies"]
    return next(one for one in needed if one.startswith("torch=="))


def get_requires_for_build_wheel(config_settings=None):
    needed = mesonpy.get_requires_for_build_wheel(config_settings)
    return needed if os.environ.get("ORGAN_TORCH_ROOT") else [*needed, torch_requirement()]


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    settings = dict(config_settings or {})
    if root := os.environ.get("ORGAN_TORCH_ROOT"):
        given = settings.get("setup-args", [])
        settings["setup-args"] = [f"-Dtorch_root={root}",
                                  *([given] if isinstance(given, str) else given)]
    return mesonpy.build_wheel(wheel_directory, settings, metadata_directory)
