# SPDX-License-Identifier: Apache-2.0
"""What the cases share: small random models as transformers writes them, `organ` as a program, and
what transformers makes of the same folder."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "support"), str(ROOT / "tools")]
sys.dont_write_bytecode = True
for name, value in (("HF_HUB_OFFLINE", "1"), ("TRANSFORMERS_VERBOSITY", "error"),
                    ("TQDM_DISABLE", "1"), ("OMP_NUM_THREADS", "1")):
    os.environ.setdefault(name, value)

import letters  # noqa: E402
import make_tiny_model as tiny  # noqa: E402
import peers  # noqa: E402

SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4,
         "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 257,
         "max_position_embeddings": 128}
BY_FAMILY = {
    "llama": SIZES, "mistral": SIZES, "qwen2": SIZES, "qwen3": SIZES | {"head_dim": 8},
    "gpt_oss": SIZES | {"head_dim": 8, "num_hidden_layers": 6, "num_local_experts": 4, "num_experts_per_tok": 2},
    "gpt2": {"n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 128, "vocab_size": 257},
    "bert": SIZES,
    "t5": {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 4, "num_heads": 4,
           "vocab_size": 257},
}


class Case:
    """Counts what holds and what does not; a folder of its own, removed at the end."""

    def __init__(self, program):
        self.program = pathlib.Path(program).resolve()
        self.can_measure = (self.program.parent / "organ-train").is_file()
        self.passed = self.failed = 0
        self._scratch = tempfile.TemporaryDirectory(prefix="organ-case-")
        self.folder = pathlib.Path(self._scratch.name)
        self.env = os.environ | {
            "HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder / ".config"),
            "ORGAN_REGISTRY": str(self.folder / "registry"), "LC_ALL": "C.UTF-8"}

    def expect(self, what, holds, got=""):
        self.passed += bool(holds)
        self.failed += not holds
        if not holds:
            print(f"FAILED {what}" + (f": {got}" if got != "" else ""), flush=True)
        return holds

    def organ(self, *words, cwd=None, env=None):
        return subprocess.run([str(self.program), *(w if isinstance(w, bytes) else str(w)
                                                    for w in words)],
                              capture_output=True, text=True, errors="replace", cwd=cwd,
                              env=self.env | (env or {}), check=False)

    def works(self, what, *words, **more):
        done = self.organ(*words, **more)
        self.expect(what, done.returncode == 0, f"exit {done.returncode}: {done.stderr.strip()}")
        return done

    def loss(self, model, ids, *words):
        """Mean loss by `organ eval`, or what went wrong."""
        done = self.organ("eval", model, "--ids", ids, "--threads", 1, "--json", *words)
        return (json.loads(done.stdout)["nll"] if done.returncode == 0 else None), done

    def end(self):
        print(f"{self.passed} cases passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)


def config_of(model):
    return json.loads((model / "config.json").read_text())


def change_config(model, **changes):
    """Sets keys of config.json; a value of `...` takes the key away."""
    config = config_of(model)
    for key, value in changes.items():
        if value is ...:
            config.pop(key, None)
        else:
            config[key] = value
    (model / "config.json").write_text(json.dumps(config, indent=2))


def make(family, out, seed=1, base=False, dtype="float32", **changes):
    """A random model as transformers saves it; `base`: by its class without a head."""
    import torch
    import transformers
    torch.manual_seed(seed)
    config = transformers.AutoConfig.for_model(family, **(BY_FAMILY[family] | changes))
    auto = {"t5": transformers.AutoModelForSeq2SeqLM, "bert": transformers.AutoModelForMaskedLM}
    model = auto.get(family, transformers.AutoModelForCausalLM).from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() >= 2:
                parameter.normal_(0, 0.3)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    model.tie_weights()
    model = model.to(getattr(torch, dtype))
    (model.base_model if base else model).save_pretrained(out)
    return pathlib.Path(out)


def load(model):
    """What transformers makes of a folder, in float32 and as it computes."""
    import torch
    import transformers
    return transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()


def save_lora(model, out, **settings):
    """A LoRA with numbers in both matrices, as PEFT saves it."""
    import peft
    import torch
    torch.manual_seed(7)
    made = peft.get_peft_model(load(model), peft.LoraConfig(task_type="CAUSAL_LM", **settings))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.3)
    made.save_pretrained(out)
    return out


def add_tokenizer(model):
    """One id per byte and the end: 257 of them."""
    vocab = {c: i for i, c in enumerate([*tiny.byte_characters(), tiny.END])}
    letters.write_byte_level(model, vocab, [tiny.END], letters.NO_FAMILY | {
        "bos_token": tiny.END, "eos_token": tiny.END, "model_max_length": 128})
    return model


def transformer_loss(model, ids):
    """The mean loss that a model of transformers has on rows of ids."""
    import torch
    with torch.no_grad():
        logits = model.eval()(input_ids=ids).logits[:, :-1]
    return torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]).double(),
                                             ids[:, 1:].reshape(-1)).item()


def tensors(folder):
    from safetensors.torch import load_file
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= load_file(path)
    return found


def put_tensors(folder, values):
    from safetensors.torch import save_file
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    save_file({n: v.clone().contiguous() for n, v in values.items()},
              str(folder / "model.safetensors"), {"format": "pt"})


def copy(model, to):
    shutil.copytree(model, to)
    return to
