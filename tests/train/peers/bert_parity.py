# SPDX-License-Identifier: Apache-2.0
"""The hidden states of every layer of a real BERT equal transformers', in fp32.

usage: bert_parity.py HIDDEN_STATES

Model: all-MiniLM-L6-v2 in $ORGAN_MODELS/minilm (`./dev` fetches it). Sentences of its card's kind,
tokenised and padded by transformers. Needs $ORGAN_PEERS; exits 77 without one of them.
"""
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import peers  # noqa: E402

TOLERANCE = 1e-5  # of the largest number of a layer
SENTENCES = [
    "An organ is a run of layers, cut out of one model and put into another.",
    "The quick brown fox jumps over the lazy dog.",
    "Kidneys filter the blood; every half hour they have seen all of it.",
    "Short.",
]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    peers.enter("torch", "transformers", "safetensors")
    folder = peers.model("minilm")
    import torch
    import transformers
    from safetensors.torch import load_file, save_file
    encoded = transformers.AutoTokenizer.from_pretrained(folder)(
        SENTENCES, padding=True, return_tensors="pt")
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32,
                                                   attn_implementation="eager").eval()
    with torch.inference_mode():
        expected = model(encoded.input_ids, attention_mask=encoded.attention_mask,
                         output_hidden_states=True).hidden_states
    real = encoded.attention_mask.bool().flatten()
    end_key = encoded.attention_mask.sum(1, keepdim=True).expand_as(encoded.input_ids)
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        save_file({"ids": encoded.input_ids.contiguous(), "end_key": end_key.contiguous()},
                  work / "input.safetensors")
        subprocess.run([sys.argv[1], folder, work / "input.safetensors",
                        work / "output.safetensors"], check=True)
        found = load_file(work / "output.safetensors")
    if len(found) != len(expected):
        raise SystemExit(f"{len(found)} hidden states, transformers has {len(expected)}")
    worst = 0.0
    for i, theirs in enumerate(expected):
        theirs = theirs.reshape(-1, theirs.shape[-1])[real]
        ours = found[f"hidden.{i}"][real]
        error = ((ours - theirs).abs().max() / theirs.abs().max()).item()
        worst = max(worst, error)
        if not error < TOLERANCE:
            raise SystemExit(f"layer {i}: relative error {error:.2e}, limit {TOLERANCE}")
    print(f"{len(expected)} hidden states of {int(real.sum())} tokens agree within {worst:.1e}")


if __name__ == "__main__":
    main()
