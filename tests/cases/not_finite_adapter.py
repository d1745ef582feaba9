# SPDX-License-Identifier: Apache-2.0
"""An adapter with NaN or infinity, or one that leaves the range of the model's type: PEFT's safe merge
refuses it, and so does organ, which names the tensor and leaves nothing behind.

    not_finite_adapter.py ORGAN_PROGRAM
"""
import sys

from support import Case, make, peers

peers.enter("torch", "transformers", "safetensors", "peft")
import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402


def poke(value):
    def change(tensor):
        tensor.view(-1)[3] = value
    return change


CASES = {"nan": ("float32", poke(float("nan"))), "infinity": ("bfloat16", poke(float("inf"))),
         "minus infinity": ("float16", poke(-float("inf"))),
         "beyond f16": ("float16", lambda tensor: tensor.mul_(1e6))}


def main():
    case = Case(sys.argv[1])
    if not case.can_measure:
        peers.skip("organ-train is not built")
    ids = case.folder / "ids"
    save_file({"ids": torch.zeros((2, 8), dtype=torch.int64)}, str(ids))
    for what, (dtype, change) in CASES.items():
        model = make("llama", case.folder / f"model {what}", dtype=dtype)
        kind = getattr(torch, dtype)
        base = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=kind)
        made = peft.get_peft_model(base, peft.LoraConfig(
            r=2, lora_alpha=4, target_modules=["q_proj"], task_type="CAUSAL_LM"))
        with torch.no_grad():
            for name, parameter in made.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(0, 0.3)
        folder = case.folder / f"adapter {what}"
        made.save_pretrained(folder)
        path = folder / "adapter_model.safetensors"
        values = load_file(path)
        name = next(n for n in sorted(values) if "lora_B" in n)
        change(values[name])
        save_file(values, str(path), {"format": "pt"})
        try:
            base = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=kind)
            peft.PeftModel.from_pretrained(base, folder).merge_and_unload(safe_merge=True)
            refused = False
        except ValueError:
            refused = True
        case.expect(f"PEFT refuses {what}", refused)
        out = case.folder / f"merged {what}"
        done = case.organ("import", folder, "--into", model, "--out", out)
        case.expect(f"{what}: the merge is refused and the tensor named", done.returncode in (3, 4)
                    and "q_proj" in done.stderr, f"exit {done.returncode}: {done.stderr}")
        case.expect(f"{what}: nothing is left", not out.exists())
        if what != "beyond f16":  # a figure needs no stored sum
            done = case.organ("eval", model, "--ids", ids, "--adapter", folder)
            case.expect(f"{what}: no figure", done.returncode in (3, 4) and not done.stdout,
                        f"exit {done.returncode}: {done.stdout}")
    case.end()


main()
