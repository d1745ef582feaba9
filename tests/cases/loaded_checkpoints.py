# SPDX-License-Identifier: Apache-2.0
"""Checkpoints with more in them than a model reads, or stored otherwise: the loss is that of
transformers, or the reason is named.

    loaded_checkpoints.py ORGAN_PROGRAM
"""
import json
import sys

from support import (Case, change_config, copy, load, make, peers, put_tensors, tensors,
                     transformer_loss)

peers.enter("torch", "transformers", "safetensors")
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

DOWN = "model.layers.1.mlp.down_proj.weight"
PREDICTING = {
    "hidden_size": 32, "intermediate_size": 64, "moe_intermediate_size": 16,
    "num_hidden_layers": 5, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1,
    "first_k_dense_replace": 1, "vocab_size": 257}


class Loaded:
    def __init__(self, case):
        self.case = case
        self.ids = torch.randint(0, 257, (4, 24), generator=torch.Generator().manual_seed(3))
        save_file({"ids": self.ids}, str(case.folder / "ids"))
        self.model = make("llama", case.folder / "model", tie_word_embeddings=False)

    def same(self, what, folder, *said):
        right = transformer_loss(load(folder), self.ids)
        got, done = self.case.loss(folder, self.case.folder / "ids")
        self.case.expect(what, got is not None and abs(got - right) < 1e-4 and
                         all(word in done.stderr for word in said),
                         f"{got} / {right}, exit {done.returncode}: {done.stderr.strip()}")

    def refused(self, what, folder, code, *said):
        done = self.case.organ("extract", folder, "--layers", "1:2", "--out",
                               self.case.folder / f"no-{what}")
        self.case.expect(what, done.returncode == code and
                         all(word in done.stderr for word in said),
                         f"exit {done.returncode}: {done.stderr.strip()}")

    def round_trip(self, what, folder, organ):
        """An organ goes in and out again: the files are what they were."""
        before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
        self.case.works(f"{what}: installed", "install", organ, "--into", folder, "--at", 1,
                        "--allow-unsigned")
        self.same(f"{what}: with the organ", folder)
        self.case.works(f"{what}: taken out", "uninstall", folder)
        after = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
        self.case.expect(f"{what}: byte for byte", before == after)


def in_shards(loaded, name):
    folder = loaded.case.folder / name
    load(loaded.model).save_pretrained(folder, max_shard_size="40KB")
    return folder, json.loads((folder / "model.safetensors.index.json").read_text())


def put_copy(folder, shard, value):
    path = folder / shard
    held = load_file(path) if path.exists() else {}
    save_file(held | {DOWN: value.clone()}, str(path), {"format": "pt"})


def stored_twice(loaded):
    organ = loaded.case.folder / "organ"
    loaded.case.works("an organ", "extract", loaded.model, "--layers", "2:3", "--out", organ)
    value = tensors(loaded.model)[DOWN]
    for first in (True, False):  # the shard that the index names, in the order of the names
        folder, index = in_shards(loaded, f"equal-{first}")
        own = index["weight_map"][DOWN]
        shards = sorted(set(index["weight_map"].values()))
        put_copy(folder, shards[-1] if first else shards[0], value)
        loaded.same(f"one tensor in two shards, equal, the index names the first: {first}", folder,
                    DOWN, own)
        done = loaded.case.organ("install", organ, "--into", folder, "--at", 1, "--allow-unsigned")
        loaded.case.expect("a change of it would be half: class 3", done.returncode == 3 and
                           DOWN in done.stderr and "save_pretrained" in done.stderr, done.stderr)
    for name, wins in (("model-overlay.safetensors", True), ("a-overlay.safetensors", False)):
        folder, index = in_shards(loaded, f"overlay-{wins}")
        put_copy(folder, name, value * 3)
        index["weight_map"][DOWN] = name
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        if wins:
            loaded.same("an overlay that the index names and that is last", folder, DOWN, name)
        else:  # transformers takes the stale one
            loaded.refused("an overlay that is first", folder, 3, DOWN, name, "hint")


def more_than_is_read(loaded):
    held = tensors(loaded.model)
    cached = {f"model.layers.{i}.self_attn.rotary_emb.{n}_cached": torch.ones(1, 1, 8, 8)
              for i in range(4) for n in ("cos", "sin")}
    folder = copy(loaded.model, loaded.case.folder / "cached")
    put_tensors(folder, held | cached)
    loaded.same("ready-made cosines and sines", folder)
    organ = loaded.case.folder / "of-cached"
    loaded.case.works("they are in no organ", "extract", folder, "--layers", "1:2", "--out", organ)
    loaded.case.expect("they are in no organ", not any(n.endswith("_cached")
                                                       for n in tensors(organ)))
    folder = copy(loaded.model, loaded.case.folder / "fewer")
    change_config(folder, num_hidden_layers=3)
    loaded.same("more layers than the config says", folder, "config.json", "model.layers.3")
    loaded.round_trip("more layers than the config says", folder, organ)
    folder = copy(loaded.model, loaded.case.folder / "wide")
    put_tensors(folder, {name: value.double() for name, value in held.items()})
    loaded.same("F64", folder)
    done = loaded.case.organ("train", folder, "--layers", "1:2", "--ids",
                             loaded.case.folder / "ids", "--steps", 1, "--threads", 1,
                             "--precision", "fp32", "--out", loaded.case.folder / "trained")
    loaded.case.expect("F64 does not train: class 3 before the first step", done.returncode == 3 and
                       "F64" in done.stderr, f"exit {done.returncode}: {done.stderr.strip()}")


def wrapped(loaded):
    held = tensors(loaded.model)
    for prefix in ("_orig_mod.", "module.", "base_model.model."):
        folder = copy(loaded.model, loaded.case.folder / f"in-{prefix}x")
        put_tensors(folder, {prefix + name: value for name, value in held.items()})
        loaded.refused(f"names in a wrapper {prefix}", folder, 4, f"'{prefix}'", "hint")
    folder = copy(loaded.model, loaded.case.folder / "unmerged")
    put_tensors(folder, {name.replace("q_proj.", "q_proj.base_layer."): value
                         for name, value in held.items()})
    loaded.refused("an unmerged adapter", folder, 4, "q_proj.base_layer", "merge_and_unload")


def predictors(loaded):
    case = loaded.case
    for family in ("glm4_moe", "deepseek_v3"):
        plain = case.folder / family
        more = {"q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8,
                "v_head_dim": 8} if family == "deepseek_v3" else {}
        torch.manual_seed(0)
        config = transformers.AutoConfig.for_model(family, **PREDICTING, **more)
        transformers.AutoModelForCausalLM.from_config(config).save_pretrained(plain)
        change_config(plain, num_nextn_predict_layers=1)
        held = tensors(plain)
        full = copy(plain, case.folder / f"{family}-full")
        put_tensors(full, held | {
            "model.layers.5." + name.removeprefix("model.layers.4."): value
            for name, value in held.items() if name.startswith("model.layers.4.")} | {
                f"model.layers.5.{name}.weight": torch.ones(32) for name in ("enorm", "hnorm")} | {
                    "model.layers.5.eh_proj.weight": torch.ones(32, 64)})
        count = len(transformers.AutoModelForCausalLM.from_pretrained(full).model.layers)
        done = case.works(f"{family}: inspect", "inspect", full, "--json")
        got = json.loads(done.stdout)["architecture"]["layer_count"]
        case.expect(f"{family}: as many layers as transformers has", got == count == 5, (got, count))
        case.expect(f"{family}: the predictor is named", "model.layers.5" in done.stderr,
                    done.stderr)
        thirds = []
        for folder in (plain, full):
            out = case.folder / f"third-{folder.name}"
            case.works(f"{folder.name}: its middle third", "extract", folder, "--middle-third",
                       "--out", out)
            thirds.append(tensors(out))
        case.expect(f"{family}: the same middle third", thirds[0].keys() == thirds[1].keys() and
                    all(torch.equal(value, thirds[1][name]) for name, value in thirds[0].items()))
        done = case.organ("extract", full, "--layers", "5:6", "--out", case.folder / f"p-{family}")
        case.expect(f"{family}: the predictor is no layer", done.returncode == 2, done.stderr)
        case.works(f"{family}: an organ of the one fits the other", "check",
                   case.folder / f"third-{plain.name}", "--recipient", full, "--at", 1)
        case.works(f"{family}: and goes in", "install", case.folder / f"third-{plain.name}",
                   "--into", full, "--at", 1, "--allow-unsigned")
        case.expect(f"{family}: the predictor stays",
                    any(n.startswith("model.layers.5.") for n in tensors(full)))


def main():
    case = Case(sys.argv[1])
    if not case.can_measure:
        peers.skip("organ-train is not built")
    loaded = Loaded(case)
    more_than_is_read(loaded)
    stored_twice(loaded)
    wrapped(loaded)
    predictors(loaded)
    case.end()


main()
