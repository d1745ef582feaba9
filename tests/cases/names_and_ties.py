# SPDX-License-Identifier: Apache-2.0
"""Whatever names a folder gives its tensors and sizes: it is what transformers loads from it.

    names_and_ties.py ORGAN_PROGRAM
"""
import json
import re
import sys

from support import BY_FAMILY, Case, change_config, copy, make, peers, put_tensors, tensors

peers.enter("torch", "transformers", "safetensors")
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

AUTO = {"t5": transformers.AutoModelForSeq2SeqLM, "bert": transformers.AutoModelForMaskedLM}


def loaded(family, folder):
    auto = AUTO.get(family, transformers.AutoModelForCausalLM)
    return auto.from_pretrained(folder, dtype=torch.float32).state_dict()


def organ_of(case, what, folder):
    """The files of layers 1 and 2 by name, and the signature."""
    out = case.folder / f"organ-{len(list(case.folder.glob('organ-*')))}"
    done = case.organ("extract", folder, "--layers", "1:3", "--out", out)
    if not case.expect(f"{what}: layers are taken out", done.returncode == 0, done.stderr):
        return None
    record = json.loads((out / "organ.json").read_text())
    return record["architecture"]["signature"], [f["digest"] for f in record["files"]
                                                 if f["role"] in ("layer", "shared")], out


def nll(case, folder):
    """What `organ eval` measures on a few rows of ids; the error instead where it measures nothing."""
    ids = case.folder / "rows.safetensors"
    if not ids.exists():
        save_file({"ids": torch.arange(64).reshape(2, 32) * 7 % 31}, ids)
    done = case.organ("eval", folder, "--ids", ids, "--json")
    return json.loads(done.stdout)["nll"] if done.returncode == 0 else done.stderr


def transformers_nll(folder):
    rows = torch.arange(64).reshape(2, 32) * 7 % 31
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return model(input_ids=rows, labels=rows).loss.item()


def measured_base_classes(case):
    """Without a head of its own and tied: the figure of the whole model. Not tied: there is none."""
    for family in BY_FAMILY:
        if not case.can_measure or family in AUTO:
            continue
        full = make(family, case.folder / f"{family}-tied", tie_word_embeddings=True)
        base = copy(full, case.folder / f"{family}-tied-base")
        put_tensors(base, {re.sub(r"^(model|transformer)\.", "", n): v for n, v in tensors(full).items()
                           if n != "lm_head.weight"})
        right, found = transformers_nll(base), nll(case, base)
        case.expect(f"{family}: transformers knows both", abs(right - transformers_nll(full)) < 1e-6)
        case.expect(f"{family}: a tied base class is measured as transformers measures it",
                    isinstance(found, float) and abs(found - right) < 1e-5, (found, right))
        change_config(base, tie_word_embeddings=False)
        found = nll(case, base)
        case.expect(f"{family}: without a head nothing is measured",
                    isinstance(found, str) and "lm_head.weight" in found, found)


def base_classes(case):
    for family in BY_FAMILY:
        full = make(family, case.folder / family)
        base = make(family, case.folder / f"{family}-base", base=True)
        names = set(tensors(base))
        case.expect(f"{family}: its base class has names of its own or no head",
                    names != set(tensors(full)) or family == "t5", sorted(names)[:3])
        a, b = (organ_of(case, f"{family} {f.name}", f) for f in (full, base))
        if a is None or b is None:
            continue
        case.expect(f"{family}: one organ of both", a[:2] == b[:2], (a[0], b[0]))
        case.works(f"{family}: it fits the base class", "check", a[2], "--recipient", base, "--at", 1)
        before = {p.name: p.read_bytes() for p in base.iterdir() if p.is_file()}
        wanted = {n: v for n, v in tensors(base).items()}
        case.works(f"{family}: it is installed there", "install", a[2], "--into", base, "--at",
                   3 if family == "gpt_oss" else 0, "--allow-unsigned")  # windows alternate
        now = tensors(base)
        moved = [n for n in wanted if not torch.equal(now[n], wanted[n])]
        case.expect(f"{family}: under the file's own names", moved and set(now) == set(wanted), moved)
        case.works(f"{family}: and out again", "uninstall", base)
        case.expect(f"{family}: byte for byte",
                    before == {p.name: p.read_bytes() for p in base.iterdir() if p.is_file()})


def ties(case):
    """The one matrix under any of its names; transformers says that the models are the same."""
    names = {"llama": ("model.embed_tokens.weight", ["lm_head.weight"]),
             "gpt2": ("transformer.wte.weight", ["lm_head.weight"]),
             "bert": ("bert.embeddings.word_embeddings.weight", ["cls.predictions.decoder.weight"]),
             "t5": ("shared.weight", ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight",
                                      "lm_head.weight"])}
    for family, (name, others) in names.items():
        model = make(family, case.folder / f"tied-{family}",
                     **({} if family == "t5" else {"tie_word_embeddings": True}))
        right = loaded(family, model)
        organ = organ_of(case, f"{family} as it was saved", model)
        for other in others:
            one = copy(model, case.folder / f"tied-{family}-{other}")
            values = tensors(model)
            values.setdefault(name, right[name])
            values = {n: v for n, v in values.items() if n not in others}
            values[other] = values.pop(name)
            put_tensors(one, values)
            same = loaded(family, one)
            case.expect(f"transformers: {family} under {other} is the same model",
                        all(torch.equal(right[n], same[n]) for n in right))
            got = organ_of(case, f"{family} under {other}", one)
            case.expect(f"{family} under {other}: one organ", got and got[:2] == organ[:2])
            if case.can_measure and family not in AUTO:
                found = nll(case, one), nll(case, model)
                case.expect(f"{family} under {other}: one figure", found[0] == found[1], found)
            case.works(f"{family} under {other} is inspected", "inspect", one)


def old_norms(case):
    model = make("bert", case.folder / "bert-now")
    old = copy(model, case.folder / "bert-2018")
    renamed = {n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias",
                                                                        "LayerNorm.beta"): v
               for n, v in tensors(model).items()}
    put_tensors(old, renamed)
    a, b = loaded("bert", model), loaded("bert", old)
    case.expect("transformers reads gamma and beta", all(torch.equal(a[n], b[n]) for n in a))
    one, two = organ_of(case, "BERT of today", model), organ_of(case, "BERT of 2018", old)
    case.expect("one organ of both", one and two and one[:2] == two[:2])
    case.works("an organ goes into the old one", "install", one[2], "--into", old, "--at", 0,
               "--allow-unsigned")
    case.expect("which keeps its names", set(tensors(old)) == set(renamed))


def aliases(case):
    """config.json with the standard names of transformers: its own class says what they mean."""
    for family in ("gpt2", "t5", "gpt_oss"):
        model = make(family, case.folder / f"alias-{family}")
        wanted = organ_of(case, f"{family} by its own keys", model)
        kind = type(transformers.AutoConfig.from_pretrained(model))
        for alias, key in kind.attribute_map.items():
            one = copy(model, case.folder / f"alias-{family}-{alias}")
            value = json.loads((one / "config.json").read_text())[key]
            for own in (..., value, value * 2):  # absent, the same, another: the alias wins
                change_config(one, **{key: own, alias: value})
                read = transformers.AutoConfig.from_pretrained(one)
                case.expect(f"transformers: {alias} is {key}", getattr(read, key) == value)
                got = organ_of(case, f"{family}: {alias} with {key} {own}", one)
                case.expect(f"{family}: {alias} with {key} {own}: one organ",
                            got and got[:2] == wanted[:2])


def two_heads(case):
    model = make("llama", case.folder / "two-heads", tie_word_embeddings=True)
    values = tensors(model)
    values["lm_head.weight"] = torch.randn_like(values["model.embed_tokens.weight"])
    put_tensors(model, values)
    case.expect("transformers unties them", not torch.equal(
        *(loaded("llama", model)[n] for n in ("lm_head.weight", "model.embed_tokens.weight"))))
    organ_of(case, "two heads", model)
    if case.can_measure:
        ids = case.folder / "ids.safetensors"
        save_file({"ids": torch.arange(32).reshape(2, 16) % 8}, ids)
        done = case.organ("eval", model, "--ids", ids)
        case.expect("measuring names both tensors and the way out", done.returncode == 4 and all(
            re.search(word, done.stderr) for word in
            ("lm_head.weight", "embed_tokens.weight", '"tie_word_embeddings": false')), done.stderr)


def main():
    case = Case(sys.argv[1])
    base_classes(case)
    measured_base_classes(case)
    ties(case)
    old_norms(case)
    aliases(case)
    two_heads(case)
    case.end()


main()
