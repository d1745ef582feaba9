# SPDX-License-Identifier: Apache-2.0
"""adapter_config.json in the forms that people have it: the loss is PEFT's, or the reason is named.

    peft_configs.py ORGAN_PROGRAM
"""
import json
import sys

from support import Case, add_tokenizer, copy, load, make, peers, transformer_loss
from support import save_lora as adapter

peers.enter("torch", "transformers", "safetensors", "peft")
import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from peft.utils.other import match_target_against_key  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

# What Python's re says of names of modules. Each is compared with what PEFT adapts.
PATTERNS = (
    r".*\blayers\.\d+\.self_attn\.(?:q|v)_proj", r"[\w.]+self_attn\.[qv]_proj\Z",
    r"(?i).*\.Q_PROJ|.*v_proj", r"(?P<x>model)\.layers\.\d+\.self_attn\.[qv]_proj",
    r".*layers\.(?P<n>\d)\.(?:(?!mlp).)*\bq_proj", r"\A.*\B_proj\Z", r"^.*(?<=q)_proj$",
    r".*layers\.[^\W\d_]*[02]\..*\.(?i:Q|v)_proj", r"(?si).*K_proj(?#the keys)",
    r".*\.\x71_proj", r".*\.\u0076_proj", r".*\.\161_proj", r".*[[.]q_proj", r".*[]._]v_proj",
    r".*l{1}ayers\.\d{,1}\.self_attn\.[k-q]_proj", r".*(a)y.*\1ttn.*\.q_proj",
    r".*(?P<l>l).*(?P=l)f_attn\.o_proj", r"(?:.*){0}model.{,60}q_proj", r".*?q_proj|x",
    r".*\.(?>q|k)_proj", r"[^{]*down_proj", r".*layers\.(0|[3-9])\.mlp\.(up|gate)_proj",
    r"(?:(?-i:model).*)(?s:q)_proj", r".*[\-.]v_proj", r".*[.-]v_proj", r".*[\d.]+.*[a-v]_proj")
# What Python refuses, and what is not read here (verbose patterns).
NO_PYTHON = (r".*\Qq_proj\E", r"(?<n>.*)q_proj", r".*\hq_proj", r"(*UTF).*q_proj", r".*q_proj**",
             r".*(?i)q_proj", r".*\Kq_proj", r"(?x) .* q_proj # the queries", r".*[\w-.]q_proj",
             r".*(q_proj", r".*q_proj)", r".*\p{L}_proj", r".*(?R)?q_proj", r".*{2}{3}q_proj")


def change(folder, **keys):
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    for key, value in keys.items():
        if value is ...:
            config.pop(key)
        else:
            config[key] = value
    path.write_text(json.dumps(config))


def defaults(case, same):
    for family in ("llama", "mistral", "qwen2", "qwen3", "gpt2"):
        model = case.folder / family
        if not model.exists():
            make(family, model)
        folder = adapter(model, case.folder / f"{family}-default", r=4, lora_alpha=8)
        scaled = peft.get_peft_model(load(model), peft.IA3Config(task_type="CAUSAL_LM"))
        with torch.no_grad():
            for name, parameter in scaled.named_parameters():
                if "ia3" in name:
                    parameter.normal_(1, 0.3)
        scaled.save_pretrained(case.folder / f"{family}-ia3")
        for value in (None, ...):
            change(folder, target_modules=value)
            same(f"{family}: target_modules {value}", model, folder)
        change(case.folder / f"{family}-ia3", target_modules=None, feedforward_modules=None)
        same(f"{family}: IA3, nothing is said", model, case.folder / f"{family}-ia3")


def regexes(case, model):
    linear = {name: module.weight.shape for name, module in load(model).named_modules()
              if isinstance(module, torch.nn.Linear) and ".layers." in name}
    folder = adapter(model, case.folder / "regex", r=2, target_modules=["q_proj"])
    for number, pattern in enumerate(PATTERNS):
        right = [name for name in linear if match_target_against_key(pattern, name)]
        change(folder, target_modules=pattern)
        save_file({f"base_model.model.{name}.lora_{x}.weight": torch.ones(
            (2, linear[name][1]) if x == "A" else (linear[name][0], 2))
            for name in right for x in "AB"}, str(folder / "adapter_model.safetensors"))
        out = case.folder / f"of-regex-{number}"
        done = case.organ("import", folder, "--into", model, "--out", out)
        got = json.loads((out / "merge.json").read_text())["changed_tensors"] if (
            done.returncode == 0) else done.stderr.strip()
        case.expect(f"{pattern}: the modules of PEFT", right and sorted(got) == sorted(
            f"{name}.weight" for name in right), f"{got} / {right}")
    for pattern in NO_PYTHON:
        change(folder, target_modules=pattern)
        done = case.organ("import", folder, "--into", model, "--out", case.folder / "never")
        case.expect(f"{pattern}: refused", done.returncode == 3 and "target_modules" in done.stderr,
                    f"exit {done.returncode}: {done.stderr.strip()}")


def names(case, same, model):
    folder = adapter(model, case.folder / "named", r=4, target_modules=["q_proj", "v_proj"])
    values = load_file(folder / "adapter_model.safetensors")
    for given in ("default", "legal"):
        other = copy(folder, case.folder / f"named-{given}")
        save_file({name.replace(".weight", f".{given}.weight"): value
                   for name, value in values.items()}, str(other / "adapter_model.safetensors"))
        if given == "default":  # the name that PEFT gives an adapter when it loads one
            same("the adapter's name in the names of its tensors", model, other)
        got = case.loss(model, case.folder / "ids", "--adapter", other)[0]
        case.expect(f"{given} in the names", got is not None and got == case.loss(
            model, case.folder / "ids", "--adapter", folder)[0], got)
    mixed = copy(folder, case.folder / "named-mixed")
    first = next(iter(values))
    save_file({(name.replace(".weight", ".default.weight") if name == first else name): value
               for name, value in values.items()}, str(mixed / "adapter_model.safetensors"))
    done = case.loss(model, case.folder / "ids", "--adapter", mixed)[1]
    case.expect("two ways in one file", done.returncode == 4, done.stderr)
    for number, layers in enumerate(([1], [2, 3])):
        folder = adapter(model, case.folder / f"full-{number}", r=4, layers_to_transform=layers,
                         target_modules=["model.layers.0.self_attn.q_proj", "v_proj"])
        same(f"a full name beside layers_to_transform {layers}", model, folder)
    for bias in ("lora_only", "all"):
        same(f"bias {bias} where there is none", model,
             adapter(model, case.folder / f"bias-{bias}", target_modules=["q_proj"], bias=bias))
        biased = case.folder / "qwen2"
        folder = adapter(biased, case.folder / f"biased-{bias}", target_modules=["q_proj"],
                         bias=bias)
        done = case.loss(biased, case.folder / "ids", "--adapter", folder)[1]
        case.expect(f"bias {bias} where there are some: class 3", done.returncode == 3 and
                    "holds the trained bias" in done.stderr, done.stderr)


def other_modules(case, ids):
    """Sound files that adapt more than projections of one stack: class 3 with the module's name."""
    model = make("t5", case.folder / "t5")
    made = peft.get_peft_model(transformers.AutoModelForSeq2SeqLM.from_pretrained(model),
                               peft.LoraConfig(r=2, target_modules=["q", "v"],
                                               task_type="SEQ_2_SEQ_LM"))
    made.save_pretrained(case.folder / "both")
    one = [f"decoder.block.{i}.layer.0.SelfAttention.q" for i in range(4)]
    made = peft.get_peft_model(transformers.AutoModelForSeq2SeqLM.from_pretrained(model),
                               peft.LoraConfig(r=2, target_modules=one, task_type="SEQ_2_SEQ_LM"))
    made.save_pretrained(case.folder / "decoder")
    case.works("T5: an adapter of the decoder", "import", case.folder / "decoder", "--into", model,
               "--out", case.folder / "t5-merged")
    for task in ("SEQ_2_SEQ_LM", None):
        change(case.folder / "both", task_type=task)
        done = case.organ("import", case.folder / "both", "--into", model, "--out",
                          case.folder / f"t5-{task}")
        case.expect(f"T5, task_type {task}", done.returncode == 3 and "encoder.block.0" in
                    done.stderr, f"exit {done.returncode}: {done.stderr.strip()}")
    model = make("bert", case.folder / "bert")
    made = peft.get_peft_model(transformers.AutoModelForMaskedLM.from_pretrained(model),
                               peft.LoraConfig(r=2, target_modules=["dense"]))
    made.save_pretrained(case.folder / "dense")
    done = case.organ("import", case.folder / "dense", "--into", model, "--out",
                      case.folder / "bert-merged")
    case.expect("BERT, dense", done.returncode == 3 and "cls.predictions.transform.dense" in
                done.stderr, f"exit {done.returncode}: {done.stderr.strip()}")
    folder = adapter(case.folder / "llama", case.folder / "stray", r=4, target_modules=["q_proj"])
    values = load_file(folder / "adapter_model.safetensors")
    stray = "base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight"
    save_file(values | {stray: torch.zeros(4, 32)}, str(folder / "adapter_model.safetensors"))
    done = case.loss(case.folder / "llama", case.folder / "ids", "--adapter", folder)[1]
    case.expect("a tensor of no target: class 4", done.returncode == 4, done.stderr)


def own_tokenizer(case):
    """An adapter that brings its tokenizer: the same one is no matter, another is."""
    model = add_tokenizer(copy(case.folder / "llama", case.folder / "with-tokenizer"))
    folder = adapter(model, case.folder / "with-own", r=4, target_modules=["q_proj"])
    (case.folder / "text").write_text("the quick brown fox jumps over a bad cab " * 3)
    document = json.loads((model / "tokenizer.json").read_text())
    for what, code in (("none", 0), ("the same", 0), ("other stages", 0), ("other ids", 3)):
        own = json.loads(json.dumps(document))
        if what == "other stages":
            own["normalizer"] = {"type": "Lowercase"}
        vocabulary = own["model"]["vocab"]
        if what == "other ids":
            vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
        if what != "none":
            (folder / "tokenizer.json").write_text(json.dumps(own))
            (folder / "tokenizer_config.json").write_bytes(
                (model / "tokenizer_config.json").read_bytes())
        for words in (["import", folder, "--into", model, "--out", case.folder / f"own {what}"],
                      ["eval", model, "--adapter", folder, "--data", case.folder / "text",
                       "--context", 64, "--threads", 1]):
            done = case.organ(*words)
            said = "tokenizer" in done.stderr
            case.expect(f"{words[0]}, the adapter's tokenizer: {what}", done.returncode == code and
                        said == (what not in ("none", "the same")),
                        f"exit {done.returncode}: {done.stderr.strip()}")
        done = case.loss(model, case.folder / "ids", "--adapter", folder)[1]
        case.expect(f"ids need no tokenizer: {what}", done.returncode == 0 and
                    "tokenizer" not in done.stderr, done.stderr)


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

    defaults(case, same)
    regexes(case, model)
    names(case, same, model)
    other_modules(case, ids)
    own_tokenizer(case)

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
