# SPDX-License-Identifier: Apache-2.0
"""What `layering.py --self-test` plants: a violation of each kind with words of its finding, ways round the
rules among them, and files that must not be found."""

MAX_LINES = 400
MAX_ENTRIES = 25  # of a folder of sources, meson.build not counted

PLANTED = {
    "format/base/up.h": ('#include "format/tensor/tensor.h"', "may not include"),
    "format/manifest/beside.cc": ('#include "format/checkpoint/checkpoint.h"', "may not include"),
    "registry/side.cc": ('#include "transplant/plan.h"', "may not include"),
    "registry/log/up.cc": ('#include "registry/registry.h"', "may not include"),
    "registry/bare.cc": ('#include "plan.h"', "does not name its room"),
    "registry/gone.cc": ('#include "registry/gone.h"', "no such file"),
    "train/layers/up.cc": ('#include "train/model/model.h"', "may not include"),
    "train/passes/inside.cc": ('#include "train/model/internal/ends.h"', "is internal to"),
    "train/hall.cc": ("", "is no room"),
    "cli/train/heavy.cc": ('#include "train/trainer/heavy.h"', "cli/ reaches LibTorch"),
    "format/tensor/db.cc": ("#include <sqlite3.h>", "is not for format/"),
    "registry/db.h": ("#include <sqlite3.h>", "belongs into a .cc file"),
    "format/base/json.h": ("#include <nlohmann/json.hpp>", "belongs into a .cc file"),
    "transplant/torch.cc": ("#include <torch/torch.h>", "is not for transplant/"),
    "train/trainer/torch.h": ("#include <ATen/ATen.h>", "shows no LibTorch here"),
    "train/trainer/heavy.h": ('#include "train/model/hidden.h"', "shows LibTorch"),
    "train/data/torch.cc": ("#include <ATen/ATen.h>", "shows no LibTorch here"),
    "cli/organ/other.cc": ("#include <boost/any.hpp>", "no known"),
    "cli/organ/parser.cc": ("#include <CLI/CLI.hpp>", "is not for cli/organ/"),
    "cli/organ/later.cc": ("// TO" "DO: later", "unfinished"),
    "cli/organ/long.cc": ("\n" * MAX_LINES, "lines; at most"),
    "tests/train/attic/lost_test.cc": ("", "tests mirror the sources"),
    "tests/engine/lost_test.cc": ("", "tests mirror the sources"),
    "cli/organ/made.cc": ("// Made by tests/tools/nothing.py" + "\n" * MAX_LINES, "lines; at most"),
    # Ways round the rules.
    "registry/dots.cc": ('#include "registry/../transplant/plan.h"', "a way round"),
    "format/base/dots.h": ('#include "format/base/../../train/model/model.h"', "a way round"),
    "format/base/double.cc": ('#include "format//tensor/tensor.h"', "a way round"),
    "cli/train/source.cc": ('#include "train/model/good.cc"', "is no header"),
    "format/base/joined.cc": ('#include \\\n"train/model/model.h"', "hides"),
    "format/base/macro.cc": ('#define W "train/model/model.h"\n#include W', "hides"),
    "format/base/comment.cc": ('/**/ #include "train/model/model.h"', "may not include"),
    "format/base/between.cc": ('#include /**/ "train/model/model.h"', "may not include"),
    "format/base/digraph.cc": ('%:include "train/model/model.h"', "hides"),
    "format/base/next.cc": ("#include_next <vector>", "hides"),
    "format/base/other.hpp": ("", "sources are named"),
    "format/base/other.cpp": ("", "sources are named"),
    "format/base/other.inc": ("", "sources are named"),
    "registry/annex/room.cc": ("", "is no room"),
    "transplant/pch/room.cc": ("", "is no room"),
    "registry/gloo_declarations/room.cc": ("", "is no room"),
    "engine/engine.cc": ("#include <torch/torch.h>", "is no room"),
    "train/processes/group.h": ("#include <gloo/allreduce.h>", "no known"),
    "train/trainer/open.h": ('#include "train/trainer/internal/at.h"', "which is internal"),
    "train/evaluate/leak.h": ('#include "train/model/model.h"', "shows LibTorch"),
}
INNOCENT = {
    "format/tensor/tensor.h": "#include <vector>\n#include <nlohmann/json_fwd.hpp>\n",
    "format/checkpoint/checkpoint.h": '#include "format/tensor/tensor.h"\n',
    "registry/registry.h": '#include "registry/log/log.h"\n',
    "registry/log/log.h": "#include <string>\n",
    "transplant/plan.h": '#include "format/tensor/tensor.h"\n',
    "train/kernels/rows.h": "#include <ATen/ATen.h>\n",
    "train/model/model.h": '#include "train/kernels/rows.h"\n',
    "train/model/internal/ends.h": "#include <ATen/ATen.h>\n",
    "train/model/good.cc": '#include "train/model/internal/ends.h"\n',
    "train/model/hidden.h": '#include "train/model/model.h"\n',
    "train/trainer/internal/at.h": "#include <ATen/ATen.h>\n",
    "cli/frame/good.cc": "#include <CLI/CLI.hpp>\n",
    "cli/organ/good.cc": '#include <sys/stat.h>\n#include "transplant/plan.h"\n',
    "tests/train/model/good_test.cc": '#include "train/model/internal/ends.h"\n',
}
# Files planted together: a folder that is too full.
CROWD = {f"transplant/part_{i:02}.cc": "" for i in range(MAX_ENTRIES + 1)}
