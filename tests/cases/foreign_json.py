# SPDX-License-Identifier: Apache-2.0
"""Numbers that Python's json writes and JSON does not have stop no file that does not use them.

    foreign_json.py ORGAN_PROGRAM
"""
import json
import shutil
import sys

from support import Case, add_tokenizer, change_config, copy, make, peers

peers.enter("torch", "transformers", "safetensors", "peft")
import transformers  # noqa: E402

ODD = {"bare NaN": float("nan"), "bare Infinity": float("inf"), "bare -Infinity": -float("inf"),
       "an integer beyond 64 bits": int(1e30), "a negative one": -(10 ** 25),
       "of 400 digits": 10 ** 400, "tagged": {"__float__": "Infinity"}}
# Files of a model, and a key of each that computes nothing here.
PLACES = {"config.json": "nobodys_key", "tokenizer_config.json": "model_max_length",
          "special_tokens_map.json": "nobodys_key", "generation_config.json": "guidance_scale",
          "model.safetensors.index.json": "metadata"}


def put(path, key, value):
    record = json.loads(path.read_text()) if path.exists() else {}
    record[key] = {"written_by": value} if key == "metadata" else value
    path.write_text(json.dumps(record))


def adapter(model, folder):
    import peft
    peft.get_peft_model(transformers.AutoModelForCausalLM.from_pretrained(model), peft.LoraConfig(
        r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")).save_pretrained(folder)
    return folder


def unused(case, model):
    """Every file of a model and of an adapter, to every command that reads one."""
    text = case.folder / "a.txt"
    text.write_text("Spring came late to the valley that year.\n" * 9)
    tuned = adapter(model, case.folder / "adapter") if case.can_measure else None
    for what, value in ODD.items():
        one, out = copy(model, case.folder / "unused"), case.folder / "out"
        for name, key in PLACES.items():
            put(one / name, key, value)
        transformers.AutoConfig.from_pretrained(one)  # the peer reads them
        transformers.AutoTokenizer.from_pretrained(one)
        commands = [("inspect", one), ("inspect", one / "config.json"),
                    ("extract", one, "--layers", "1:3", "--out", out),
                    ("check", out, "--recipient", one, "--at", 1),
                    ("install", out, "--into", one, "--at", 1, "--allow-unsigned"),
                    ("uninstall", one)]
        if case.can_measure:
            put(tuned / "adapter_config.json", "lora_dropout", value)
            commands += [("eval", one, "--data", text, "--context", 32),
                         ("generate", one, "--prompt", "a", "--max-tokens", 2),
                         ("eval", one, "--data", text, "--context", 32, "--adapter", tuned),
                         ("import", tuned, "--into", one, "--out", case.folder / "merged"),
                         ("train", one, "--layers", "1:2", "--data", text, "--context", 32,
                          "--steps", 1, "--out", case.folder / "trained")]
        for words in commands:
            case.works(f"{what}: {words[0]}", *words)
        for left in [one, *(case.folder / n for n in ("out", "merged", "trained", "trained.run"))]:
            shutil.rmtree(left, ignore_errors=True)


def used(case, model):
    for key, value, code in (("rms_norm_eps", float("nan"), 4), ("rope_theta", float("inf"), 4),
                             ("hidden_size", 10 ** 30, 4), ("num_hidden_layers", float("inf"), 4),
                             ("rms_norm_eps", {"__float__": "Infinity"}, 4),
                             ("hidden_act", float("nan"), 4)):
        one = copy(model, case.folder / "used")
        config = json.loads((one / "config.json").read_text())
        config.pop("rope_parameters", None)
        config[key] = value
        (one / "config.json").write_text(json.dumps(config))
        done = case.organ("inspect", one)
        case.expect(f"{key} {value} is refused by its name",
                    done.returncode == code and key in done.stderr,
                    f"exit {done.returncode}: {done.stderr}")
        shutil.rmtree(one)


def both_spellings(case):
    """A Mamba-2 as transformers 4 wrote it and as 5 does: one model."""
    import torch
    torch.manual_seed(1)
    config = transformers.AutoConfig.for_model(
        "mamba2", hidden_size=32, num_heads=4, head_dim=16, state_size=16, n_groups=1,
        num_hidden_layers=4, vocab_size=257, expand=2, chunk_size=8)
    now = case.folder / "now"
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(now)
    change_config(now, time_step_limit=[0.0, {"__float__": "Infinity"}])
    old = copy(now, case.folder / "old")
    text = (old / "config.json").read_text()
    record = json.loads(text)
    record["time_step_limit"] = [0.0, float("inf")]
    (old / "config.json").write_text(json.dumps(record))
    limits = [transformers.AutoConfig.from_pretrained(f).time_step_limit[1] for f in (now, old)]
    case.expect("transformers reads one limit from both", limits[0] == limits[1], limits)
    signatures = []
    for name in ("now", "old"):
        done = case.works(f"layers of the {name} spelling", "extract", case.folder / name,
                          "--layers", "1:3", "--out", case.folder / f"o-{name}", "--json")
        signatures.append(json.loads(done.stdout or "{}").get("architecture_signature"))
    case.expect("they sign equal", signatures[0] == signatures[1], signatures)
    case.works("an organ of one fits the other", "check", case.folder / "o-now", "--recipient", old,
               "--at", 1)


def main():
    case = Case(sys.argv[1])
    model = add_tokenizer(make("llama", case.folder / "model", tie_word_embeddings=True))
    transformers.AutoModelForCausalLM.from_pretrained(model).save_pretrained(
        case.folder / "shards", max_shard_size="40KB")
    unused(case, add_tokenizer(case.folder / "shards"))
    used(case, model)
    both_spellings(case)
    case.end()


main()
