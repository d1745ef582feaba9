# SPDX-License-Identifier: Apache-2.0
"""adapter_config.json in the forms that people have it: the loss is PEFT's, or the reason is named.

    peft_configs.py ORGAN_PROGRAM
"""
import json
import sys

from support import Case, make, peers, transformer_loss

peers.enter("torch", "transformers", "safetensors", "peft")
import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import save_file  # noqa: E402


def load(model):
    return transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()


def adapter(model, out, **settings):
    """A LoRA with numbers in both matrices, as PEFT saves it."""
    torch.manual_seed(7)
    made = peft.get_peft_model(load(model), peft.LoraConfig(task_type="CAUSAL_LM", **settings))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.3)
    made.save_pretrained(out)
    return out


def change(folder, **keys):
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    for key, value in keys.items():
        if value is ...:
            config.pop(key)
        else:
            config[key] = value
    path.write_text(json.dumps(config))


def main():
    case = Case(sys.argv[1])
    if not case.can_measure:
        peers.skip("organ-train is not built")
    ids = torch.randint(0, 257, (4, 24), generator=torch.Generator().manual_seed(3))
    save_file({"ids": ids}, str(case.folder / "ids"))

    def same(what, model, folder):
        right = transformer_loss(peft.PeftModel.from_pretrained(load(model), folder).eval(), ids)
        got, done = case.loss(model, case.folder / "ids", "--adapter", folder)
        case.expect(what, got is not None and abs(got - right) < 1e-5,
                    f"{got} / {right}: {done.stderr.strip()}")

    for family, pattern, targets in (("llama", "layers", ["q_proj", "v_proj"]),
                                     ("gpt2", "h", ["c_attn"])):
        model = make(family, case.folder / family)
        for number, (layers, given) in enumerate((([0, 2], None), ([0, 2], pattern), (1, pattern),
                                                  ([0, 2], ["no", pattern]), ([3], ""))):
            folder = adapter(model, case.folder / f"{family}-{number}", r=4, lora_alpha=8,
                             target_modules=targets, layers_to_transform=layers,
                             layers_pattern=given, fan_in_fan_out=family == "gpt2")
            same(f"{family}: layers {layers}, layers_pattern {given}", model, folder)

    model = case.folder / "llama"
    folder = adapter(model, case.folder / "defaults", r=8, lora_alpha=8, target_modules=["q_proj"])
    change(folder, r=..., lora_alpha=...)
    same("r and lora_alpha by PEFT's defaults", model, folder)
    for first, second in (("k_proj", "layers.0.self_attn.k_proj"),
                          ("layers.0.self_attn.k_proj", "k_proj")):
        patterns = {"rank_pattern": {first: 2, second: 3}, "alpha_pattern": {first: 5, second: 9}}
        folder = adapter(model, case.folder / f"order-{first}", r=4, lora_alpha=8,
                         target_modules=["q_proj", "k_proj"], **patterns)
        change(folder, **patterns)  # PEFT sorts keys when it saves, and takes them as they stand
        same(f"the first of two patterns counts: {first}", model, folder)
    folder = adapter(model, case.folder / "numbers", r=4, lora_alpha=8, target_modules=["q_proj"])
    change(folder, lora_dropout=float("nan"), revision=None)
    path = folder / "adapter_config.json"
    path.write_text(path.read_text().replace("NaN", "Infinity"))
    done = case.organ("eval", model, "--ids", case.folder / "ids", "--adapter", folder)
    case.expect("a number that nobody uses stops nothing", done.returncode == 0, done.stderr)

    folder = adapter(model, case.folder / "embedded", r=4, target_modules=["q_proj", "embed_tokens"])
    done = case.organ("eval", model, "--ids", case.folder / "ids", "--adapter", folder)
    case.expect("an adapted embedding: class 3 and the reason", done.returncode == 3 and
                "embed_tokens" in done.stderr, f"exit {done.returncode}: {done.stderr}")
    torch.manual_seed(7)
    made = peft.get_peft_model(load(model), peft.LoraConfig(r=4, target_modules=["q_proj"],
                                                            task_type="CAUSAL_LM"))
    made.save_pretrained(case.folder / "saved", save_embedding_layers=True)
    done = case.organ("eval", model, "--ids", case.folder / "ids", "--adapter",
                      case.folder / "saved")
    case.expect("saved embeddings: class 3 and the reason", done.returncode == 3 and any(
        n in done.stderr for n in ("embed_tokens", "lm_head")), f"exit {done.returncode}: {done.stderr}")
    case.end()


main()
