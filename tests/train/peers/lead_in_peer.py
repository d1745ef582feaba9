# SPDX-License-Identifier: Apache-2.0
"""What organ puts before a document is what transformers puts before a text, in figures and in
training, and all that is recorded says so.

usage: lead_in_peer.py ORGAN_TRAIN

Tokenizers: a template with no, one and two ids, one that tokenizer_config.json contradicts, GPT-2's
pair of files with and without `add_bos_token`, and stories260K of the shared data, where it is there.
Needs $ORGAN_PEERS (transformers); exits 77 without it.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import peers  # noqa: E402

PROGRAM = sys.argv[1]
TOOLS = pathlib.Path(__file__).parents[2] / "tools"
TEXTS = ["the first text is not very long", "and neither is the second of them", "nor the third"]


def organ(*arguments, code=0):
    result = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != code:
        sys.exit(f"organ-train {' '.join(map(str, arguments))}: exit {result.returncode}: "
                 f"{result.stderr}")
    return result.stdout if code == 0 else result.stderr


def before_text(folder):
    """The ids that transformers puts before a text."""
    import transformers
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    plain = tokenizer(TEXTS[0], add_special_tokens=False).input_ids
    whole = tokenizer(TEXTS[0]).input_ids
    return whole[:next(i for i in range(len(whole)) if whole[i:i + len(plain)] == plain)]


def make_model(folder, config, template=None, pair=False):
    """A tiny model whose tokenizer puts the tokens of `template` before a text."""
    subprocess.run([sys.executable, TOOLS / "make_tiny_model.py", folder, "--layers", "3"], check=True)
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text())
    vocabulary = document["model"]["vocab"]
    if template:
        document["post_processor"] = {
            "type": "TemplateProcessing",
            "single": [*({"SpecialToken": {"id": t, "type_id": 0}} for t in template),
                       {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                     {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {t: {"id": t, "ids": [vocabulary[t]], "tokens": [t]}
                               for t in template}}
    path.write_text(json.dumps(document))
    if pair:
        path.unlink()
        (folder / "vocab.json").write_text(json.dumps(vocabulary))
        (folder / "merges.txt").write_text("#version: 0.2\n")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, **config}))
    return folder


def measure(model, text, *options):
    return json.loads(organ("eval", model, "--data", text, "--documents", "blank-lines", "--context",
                            16, "--json", *options))


def check_figures(name, model, text):
    """eval takes what transformers takes, the choices give what they say, labels tell."""
    expected = before_text(model)
    record = measure(model, text)
    print(f"{name}: {expected or 'nothing'} before a text")
    assert record["lead_in"] == expected, (name, record["lead_in"], expected)
    label = "+".join(map(str, expected)) or "none"
    shown = organ("eval", model, "--data", text, "--context", 16)
    assert f",lead={label},docs=file,fp32,cpu]" in shown, shown
    none = measure(model, text, "--lead-in", "none")
    assert none["lead_in"] == [], none
    bos = measure(model, text, "--lead-in", "bos")
    assert len(bos["lead_in"]) == 1, bos
    for other in (none, bos):
        assert (other["nll"] == record["nll"]) is (other["lead_in"] == expected), (record, other)
    return expected


def check_training(name, model, folder, text, expected):
    out = folder / f"{name}-organ"
    out.mkdir()
    for choice, lead_in in (("auto", expected), ("none", [])):
        result = json.loads(organ(
            "train", model, "--layers", "1:2", "--data", folder / "train.txt", "--held-out", text,
            "--documents", "blank-lines", "--context", 16, "--steps", 2, "--precision", "fp32",
            "--out", out / choice, "--lead-in", choice, "--json"))
        manifest = json.loads((out / choice / "organ.json").read_text())
        assert manifest["training"]["hyperparameters"]["lead_in"] == lead_in, manifest["training"]
        for one in (*manifest["evaluations"], *result["evaluations"]):
            assert one["lead_in"] == lead_in and one["precision"] == "fp32", one
            assert one["device"] == "cpu" and one["chose_weights"] is False, one
        untouched = result["evaluations"][0]["nll"]
        measured = measure(model, text, "--lead-in", choice)["nll"]
        assert abs(untouched / measured - 1) < 1e-6, (name, choice, untouched, measured)
    tokens = {choice: json.loads((out / choice / "organ.json").read_text())
              ["training"]["data"][0]["tokens"] for choice in ("auto", "none")}
    assert tokens["auto"] - tokens["none"] == len(TEXTS) * len(expected), (name, tokens)


def main():
    peers.enter("transformers")
    os.environ["HF_HUB_OFFLINE"] = "1"
    end = "<|endoftext|>"
    with tempfile.TemporaryDirectory(prefix="organ-lead-in") as name:
        folder = pathlib.Path(name)
        (folder / "train.txt").write_text("\n\n".join(TEXTS))
        text = folder / "held_out.txt"
        text.write_text("something else that nobody trained on\n\nin two documents, one of them long "
                        "enough for more than one window")
        models = {
            "nothing": make_model(folder / "nothing", {}),
            "one": make_model(folder / "one", {}, [end]),
            "two": make_model(folder / "two", {}, ["t", end]),
            "only-asked-for": make_model(folder / "asked", {"add_bos_token": True}),
            "contradicted": make_model(folder / "contradicted", {"add_bos_token": False}, [end]),
            "pair": make_model(folder / "pair", {"tokenizer_class": "GPT2Tokenizer"}, pair=True),
            "pair-with-bos": make_model(
                folder / "pair-bos", {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True},
                pair=True)}
        shared = pathlib.Path(os.environ.get("ORGAN_SHARED", "../shared")) / "data"
        if (shared / "stories260K").exists():
            models["stories260K"] = shared / "stories260K"
        found = {}
        for label, model in models.items():
            found[label] = check_figures(label, model, text)
            check_training(label, model, folder, text, found[label])
        assert [len(found[n]) for n in ("nothing", "one", "two", "pair", "pair-with-bos")] == [
            0, 1, 2, 0, 1], found
        ids = folder / "ids.safetensors"
        refused = organ("eval", models["one"], "--ids", ids, "--lead-in", "bos", code=2)
        assert "--ids are taken as they are" in refused, refused


main()
