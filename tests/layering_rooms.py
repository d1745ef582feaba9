# SPDX-License-Identifier: Apache-2.0
"""The table of rooms that layering.py holds."""

BASE = {"format/base"}
TENSOR = BASE | {"format/tensor"}
ARCHITECTURE = TENSOR | {"format/architecture"}
CHECKPOINT = ARCHITECTURE | {"format/checkpoint"}
MANIFEST = ARCHITECTURE | {"format/manifest"}
ORGAN = CHECKPOINT | MANIFEST | {"format/organ"}
SIGNATURE = ORGAN | {"format/signature"}


def train(*rooms):
    return {"train/" + room for room in rooms}


# Room -> rooms that it may include beside itself, in the order of the floors: a room sees only rooms
# that stand before it (the self-test holds that too).
MODULES = {
    "format/base": set(),
    "format/tensor": BASE,
    "format/pickle": TENSOR,
    "format/architecture": TENSOR,
    "format/checkpoint": ARCHITECTURE,
    "format/manifest": ARCHITECTURE,
    "format/organ": CHECKPOINT | MANIFEST,
    "format/signature": ORGAN,
    "registry/http": BASE,
    "registry/blobs": BASE,
    "registry/notes": BASE,
    "registry/log": MANIFEST | {"registry/notes"},
    "registry/trust": SIGNATURE | {"registry/notes", "registry/log"},
    "registry/catalog": MANIFEST | {"registry/log"},
    "registry/oci": ORGAN | {"registry/blobs", "registry/log", "registry/catalog"},
    "registry": SIGNATURE | {"registry/blobs", "registry/notes", "registry/log", "registry/trust", "registry/catalog",
                             "registry/oci"},
    "registry/history": SIGNATURE | {"registry", "registry/notes", "registry/log", "registry/trust"},
    "registry/lockfile": ORGAN | {"registry", "registry/log", "registry/catalog"},
    "registry/remote": SIGNATURE | {"registry", "registry/http", "registry/blobs", "registry/log", "registry/trust",
                                    "registry/catalog", "registry/oci"},
    "registry/care": SIGNATURE | {"registry", "registry/http", "registry/blobs", "registry/log", "registry/trust",
                                  "registry/catalog", "registry/oci", "registry/remote"},
    "registry/site": SIGNATURE | {"registry", "registry/log", "registry/trust", "registry/catalog"},
    "transplant": ORGAN,
    "transplant/exchange": SIGNATURE | {"format/pickle"},
    "train/kernels": BASE,
    "train/machine": BASE | train("kernels"),
    "train/processes": BASE | train("kernels", "machine"),
    "train/tokenizer/text": BASE,
    "train/tokenizer/models": BASE | train("tokenizer/text"),
    "train/tokenizer/stages": BASE | train("tokenizer/text"),
    "train/tokenizer": CHECKPOINT | train("tokenizer/text", "tokenizer/models", "tokenizer/stages"),
    "train/data/source": TENSOR,
    "train/data": CHECKPOINT | train("tokenizer", "tokenizer/text", "data/source"),
    "train/adapter": CHECKPOINT | train("tokenizer/text", "data"),
    "train/positions": ARCHITECTURE | train("kernels"),
    "train/weights": CHECKPOINT | train("kernels", "positions", "adapter"),
    "train/layers": BASE | train("kernels", "positions", "weights"),
    "train/model": CHECKPOINT | train("kernels", "machine", "adapter", "positions", "weights",
                                      "layers"),
    "train/passes": CHECKPOINT | train("kernels", "machine", "data", "positions", "layers",
                                       "model"),
    "train/optimize": CHECKPOINT | train("kernels", "adapter", "weights", "model"),
    "train/generate": CHECKPOINT | train("machine", "data", "model"),
    "train/probes": CHECKPOINT | train("machine", "data", "positions", "model", "passes"),
    "train/evaluate": CHECKPOINT | MANIFEST | train("machine", "data", "adapter", "positions",
                                                    "model", "passes", "probes"),
    "train/trainer": ORGAN | train("kernels", "machine", "processes", "data", "weights", "model",
                                   "passes", "optimize", "probes", "evaluate"),
    "train/baselines": ORGAN | train("kernels", "machine", "processes", "data", "adapter", "positions", "model",
                                     "passes", "optimize", "trainer"),
    "cli/frame": SIGNATURE,
    "cli/report": BASE | {"cli/frame"},
    "cli/output": SIGNATURE | {"cli/frame", "cli/report", "registry", "registry/http", "registry/catalog", "registry/trust",
                               "transplant"},
    "cli/registry": SIGNATURE | {"cli/frame", "cli/output", "registry", "registry/notes", "registry/http", "registry/remote", "registry/log",
                                 "registry/catalog", "registry/oci", "registry/trust", "registry/care", "registry/site",
                                 "registry/lockfile", "transplant"},
    "cli/log": SIGNATURE | {"cli/frame", "cli/output", "cli/registry", "registry", "registry/notes", "registry/log",
                            "registry/history"},
    "cli/organ": SIGNATURE | {"cli/frame", "cli/report", "cli/output", "cli/registry", "cli/log", "registry",
                              "registry/notes", "registry/log", "registry/catalog", "registry/oci", "registry/trust",
                              "registry/lockfile", "transplant", "transplant/exchange"},
    "cli/ci": SIGNATURE | {"cli/frame", "cli/report", "cli/output", "cli/registry", "cli/organ", "registry",
                           "registry/trust", "transplant"},
    "cli/train": ORGAN | {"cli/frame", "transplant"} |
    train("machine", "processes", "tokenizer", "data", "adapter", "generate", "optimize", "probes",
          "evaluate", "trainer", "baselines"),
}
MODULES["tests"] = set(MODULES)
