# SPDX-License-Identifier: Apache-2.0
"""What a new folder takes over from a model: not what a link outside it holds, not the old model's weights in
other formats, not its signature; and all of a model in a subfolder of a cache's snapshot.

    copied_folders.py ORGAN_PROGRAM
"""
import json
import os
import sys

from support import add_tokenizer, Case, copy, make, peers

peers.enter("torch", "transformers", "safetensors")
import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

OLD = ("pytorch_model.bin", "model-q4.gguf", "model.sig", "weights.npz", "pytorch_model.bin.index.json",
       "tf_model.h5.index.json", "model.fp16.safetensors.index.json")


def adapter(case):
    """The files of a LoRA of one matrix."""
    folder = case.folder / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({
        "peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["q_proj"],
        "layers_to_transform": [1]}))
    name = "base_model.model.model.layers.1.self_attn.q_proj"
    save_file({f"{name}.lora_A.weight": torch.ones(2, case.width),
               f"{name}.lora_B.weight": torch.ones(case.width, 2)},
              str(folder / "adapter_model.safetensors"))
    return folder


def ways(case, model, organ):
    """What makes a new folder out of a model: name -> the words of its command."""
    yield "install", ["install", organ, "--into", model, "--at", 1, "--allow-unsigned"]
    if case.can_measure:
        yield "import", ["import", case.adapter, "--into", model]


def old_weights(case, model, organ):
    one = copy(model, case.folder / "with-others")
    for name in OLD:
        (one / name).write_text("of the old model")
    (one / "notes.txt").write_text("kept")
    (one / "my notes.txt").write_text("an odd name")
    (one / "onnx").mkdir()
    for way, words in ways(case, one, organ):
        out = case.folder / f"others-{way}"
        done = case.works(f"{way} of a folder with other formats", *words, "--out", out)
        behind = sorted([*OLD, "my notes.txt", "onnx"])
        said = sorted(line.removeprefix("left out: ").split(" (")[0].strip("'")
                      for line in done.stderr.splitlines() if line.startswith("left out: "))
        case.expect(f"{way}: what stays behind is named", said == behind, said)
        left = sorted(name for name in behind if (out / name).exists())
        case.expect(f"{way}: the old weights stay behind", not left, left)
        case.expect(f"{way}: notes go along", (out / "notes.txt").is_file())


def links_away(case, model, organ):
    secret = case.folder / "secret.txt"
    secret.write_text("SECRET")
    one = copy(model, case.folder / "with-link")
    (one / "notes.txt").symlink_to(secret)
    for way, words in ways(case, one, organ):
        out = case.folder / f"link-{way}"
        done = case.works(f"{way} of a folder with a link that leaves it", *words, "--out", out)
        taken = out.exists() and "SECRET" in "".join(
            p.read_text(errors="replace") for p in out.iterdir() if p.is_file())
        case.expect(f"{way}: what a link outside leads to is not taken", not taken)
        case.expect(f"{way}: said by name", "notes.txt" in done.stderr, done.stderr)
        trusted = case.folder / f"trusted-{way}"
        case.works(f"{way}: with --trust-links", *words, "--out", trusted, "--trust-links",
                   case.folder)
        case.expect(f"{way}: and taken then", (trusted / "notes.txt").read_text() == "SECRET")


def snapshot_subfolder(case, model, organ):
    cache = case.folder / "models--o--n"
    (cache / "blobs").mkdir(parents=True)
    sub = cache / "snapshots/rev/sub"
    sub.mkdir(parents=True)
    for path in model.iterdir():
        (cache / "blobs" / path.name).write_bytes(path.read_bytes())
        (sub / path.name).symlink_to(os.path.join("../../../blobs", path.name))
    for way, words in ways(case, sub, organ):
        out = case.folder / f"sub-{way}"
        case.works(f"{way} into a snapshot's subfolder", *words, "--out", out)
        missing = sorted(p.name for p in model.iterdir() if not (out / p.name).is_file())
        case.expect(f"{way}: all files are there", not missing, missing)


def main():
    case = Case(sys.argv[1])
    model = add_tokenizer(make("llama", case.folder / "model"))
    case.width = json.loads((model / "config.json").read_text())["hidden_size"]
    case.adapter = adapter(case)
    organ = case.folder / "organ"
    case.works("extract", "extract", model, "--layers", "1:3", "--out", organ)
    old_weights(case, model, organ)
    links_away(case, model, organ)
    snapshot_subfolder(case, model, organ)
    case.end()


main()
