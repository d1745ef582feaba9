#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/adapters/<case>: an adapter as PEFT saves it for one of the models of
make_train_fixtures.py, with random numbers, and what PEFT computes with it.

reference.safetensors holds
  logits         [rows * length, vocabulary] for the ids of the model's own reference
  loss           sum of the negative log likelihoods of its targets
  grad.<tensor>  d(loss / targets)/d(tensor) by autograd, names as in adapter_model.safetensors
  merged.<name>  the base model's tensors that merging changes, after it, names as in its file
  bf16_error     1 - cosine of all grad.<tensor> at once when PEFT computes them on the model in
                 bf16 (the adapter in fp32, as PEFT keeps it)

usage: make_adapter_fixtures.py MODELS_FOLDER OUTPUT_FOLDER   (needs torch, transformers, peft)
"""
import json
import pathlib
import sys
import tempfile

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

LORA, IA3 = peft.LoraConfig, peft.IA3Config
PROMPT, PREFIX = peft.PromptTuningConfig, peft.PrefixTuningConfig


class Bottlenecks(torch.nn.Module):
    """What PEFT has none of: y + up(relu(down(y))) behind some modules (schemas/training.md)."""

    def __init__(self, model, size, placement, modules):
        super().__init__()
        self.model = model
        self.config = {"peft_type": "BOTTLENECK", "task_type": "CAUSAL_LM", "bottleneck_size": size,
                       "placement": placement, "non_linearity": "relu",
                       "layers_to_transform": None}
        self.parts = {}
        model.requires_grad_(False)
        for name, module in model.named_modules():
            if name.split(".", 3)[-1] in modules:
                self.attach(name, module, size)

    def attach(self, name, module, size):
        width = module.nf if hasattr(module, "nf") else module.out_features
        down, up = torch.nn.Linear(width, size), torch.nn.Linear(size, width)
        module.register_forward_hook(
            lambda _, __, y: y + up(torch.relu(down(y.float()))).to(y.dtype))
        self.parts[f"base_model.model.{name}.adapter_down"] = down
        self.parts[f"base_model.model.{name}.adapter_up"] = up

    def named_parameters(self, **_):
        return [(f"{n}.{k}", p) for n, part in self.parts.items()
                for k, p in part.named_parameters()]

    def forward(self, **inputs):
        return self.model(**inputs)

    def save_pretrained(self, folder):
        (folder / "adapter_config.json").write_text(json.dumps(self.config))
        save_file({n: p.detach() for n, p in self.named_parameters()},
                  folder / "adapter_model.safetensors", metadata={"format": "pt"})
        (folder / "README.md").touch()


# name: (model, configuration class, its arguments)
CASES = {
    "lora": ("llama", LORA, dict(r=4, lora_alpha=16)),
    "lora_all_linear": ("llama_odd", LORA,
                        dict(r=3, lora_alpha=5, use_rslora=True, target_modules="all-linear",
                             rank_pattern={"k_proj": 2, r"layers\.1\.mlp\.up_proj": 1},
                             alpha_pattern={"down_proj": 7.5})),
    "lora_regex": ("qwen3", LORA,
                   dict(r=2, lora_alpha=2,
                        target_modules=r"model\.layers\.[02]\.(self_attn\.o_proj|mlp\.gate_proj)")),
    "lora_layers": ("mistral", LORA,
                    dict(r=2, lora_alpha=3, target_modules=["v_proj", "mlp.down_proj"],
                         layers_to_transform=[1, 2])),
    "ia3": ("llama", IA3, dict()),
    "ia3_bias": ("llama_odd", IA3,
                 dict(target_modules=["q_proj", "v_proj", "o_proj", "down_proj"],
                      feedforward_modules=["o_proj", "down_proj"])),
    "lora_gpt2": ("gpt2", LORA, dict(r=3, lora_alpha=6, target_modules=["c_attn", "mlp.c_proj"],
                                     fan_in_fan_out=True)),
    "lora_gpt_oss": ("gpt_oss", LORA, dict(r=2, lora_alpha=3,
                                           target_modules=["q_proj", "v_proj", "o_proj"])),
    "lora_experts": ("gpt_oss", LORA,
                     dict(r=2, lora_alpha=3, target_modules=["q_proj"],
                          target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
                          rank_pattern={r"layers\.1\.mlp\.experts\.down_proj": 1})),
    "lora_expert_outputs": ("gpt_oss", LORA,
                            dict(r=2, lora_alpha=3, target_modules=[],
                                 target_parameters=["experts.down_proj"])),
    "ia3_gpt2": ("gpt2", IA3, dict(fan_in_fan_out=True)),
    "prompt": ("llama", PROMPT, dict(num_virtual_tokens=3)),
    "prompt_gpt2": ("gpt2", PROMPT, dict(num_virtual_tokens=2)),
    "prompt_mistral": ("mistral", PROMPT, dict(num_virtual_tokens=4)),
    "prefix": ("llama", PREFIX, dict(num_virtual_tokens=3)),
    "prefix_gpt2": ("gpt2", PREFIX, dict(num_virtual_tokens=2)),
    "prefix_gpt_oss": ("gpt_oss", PREFIX, dict(num_virtual_tokens=3)),
    "prefix_mistral": ("mistral", PREFIX, dict(num_virtual_tokens=4)),
    "prefix_projected": ("qwen3", PREFIX, dict(num_virtual_tokens=2, encoder_hidden_size=5,
                                               prefix_projection=True)),
    "bottleneck": ("llama_odd", Bottlenecks,
                   dict(size=3, placement="houlsby", modules=["self_attn.o_proj", "mlp.down_proj"])),
    "bottleneck_gpt2": ("gpt2", Bottlenecks,
                        dict(size=2, placement="pfeiffer", modules=["mlp.c_proj"])),
}


def make_adapter(model, kind, arguments):
    if kind is Bottlenecks:
        adapted = Bottlenecks(model, **arguments)
    else:
        adapted = peft.get_peft_model(model, kind(task_type="CAUSAL_LM", **arguments))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(1 + 0.3 * noise if "ia3" in name else 0.2 * noise)
    return as_stored(model, adapted) if arguments.get("prefix_projection") else adapted.eval()


def as_stored(model, adapted):
    """A projected prefix is saved as what comes out of its projection: that is what counts here."""
    with tempfile.TemporaryDirectory() as folder:
        adapted.save_pretrained(folder)
        stored = peft.PeftModel.from_pretrained(model, folder).eval()
    stored.prompt_encoder.requires_grad_(True)
    return stored


def stored_name(name):
    """As save_pretrained strips it."""
    return "prompt_embeddings" if "prompt_encoder" in name else name.replace(".default", "")


def run(adapted, base):
    """Logits, loss and, per trained tensor, its gradient."""
    ids, targets = base["ids"], base["targets"]
    logits = adapted(input_ids=ids).logits[:, -ids.shape[1]:]  # virtual tokens come first
    logits = logits.reshape(-1, logits.shape[-1])
    loss = torch.nn.functional.cross_entropy(logits.float(), targets.reshape(-1),
                                             ignore_index=-1, reduction="sum")
    (loss / (targets >= 0).sum()).backward()
    gradients = {stored_name(n): p.grad.float() for n, p in adapted.named_parameters()
                 if p.requires_grad}
    return logits.detach(), loss.detach(), gradients


def bf16_error(load, kind, arguments, base, exact):
    _, _, rounded = run(make_adapter(load(torch.bfloat16), kind, arguments), base)
    a, b = (torch.cat([g[n].flatten().double() for n in exact]) for g in (rounded, exact))
    return 1 - torch.nn.functional.cosine_similarity(a, b, dim=0)


def reference(load, kind, arguments, base, stored):
    adapted = make_adapter(load(torch.float32), kind, arguments)
    logits, loss, gradients = run(adapted, base)
    out = {"logits": logits, "loss": loss.reshape(1)}
    out |= {"grad." + n: g for n, g in gradients.items()}
    out["bf16_error"] = bf16_error(load, kind, arguments, base, gradients).float().reshape(1)
    if isinstance(adapted, Bottlenecks) or kind in (PROMPT, PREFIX):
        return out
    before = {n.replace(".base_layer", ""): p.detach().clone()
              for n, p in adapted.base_model.model.named_parameters()}
    merged = dict(adapted.merge_and_unload().named_parameters())
    out |= {"merged." + (n if n in stored else n.removeprefix("transformer.")): p.detach()
            for n, p in merged.items() if not torch.equal(p, before[n])}
    return {name: tensor.contiguous().clone() for name, tensor in out.items()}


def main():
    models, target = map(pathlib.Path, sys.argv[1:3])
    torch.set_num_threads(1)
    for name, (model_name, kind, arguments) in CASES.items():
        folder = target / name
        folder.mkdir(parents=True, exist_ok=True)

        def load(dtype):
            return transformers.AutoModelForCausalLM.from_pretrained(
                models / model_name, dtype=dtype, attn_implementation="eager",
                experts_implementation="eager")

        make_adapter(load(torch.float32), kind, arguments).save_pretrained(folder)
        (folder / "README.md").unlink()
        config = json.loads((folder / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = model_name
        for key, value in config.items():  # sets are saved in an order that changes
            if isinstance(value, list) and all(isinstance(v, str) for v in value):
                config[key] = sorted(value)
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True))
        base = load_file(models / model_name / "reference.safetensors")
        stored = load_file(models / model_name / "model.safetensors")
        save_file(reference(load, kind, arguments, base, stored), folder / "reference.safetensors")
        print(f"{name}: {sum(f.stat().st_size for f in folder.iterdir())} bytes")


if __name__ == "__main__":
    main()
