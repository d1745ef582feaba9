# SPDX-License-Identifier: Apache-2.0
"""A small random model of each family through the commands, with transformers as the judge.

usage: family_flow.py ORGAN FAMILY

The organ is trained, checked and installed; transformers loads the result and agrees with
`organ eval` on its mean NLL in fp32; uninstall gives every byte back. Needs $ORGAN_PEERS (torch,
transformers, tokenizers) and $ORGAN_SHARED; exits 77 without them.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import peers  # noqa: E402

TOLERANCE = 1e-5  # relative
CONTEXT = 64
TOOL = pathlib.Path(__file__).parents[2] / "tools" / "reference_nll.py"
SIZES = dict(bos_token_id=0, eos_token_id=0, vocab_size=50257)


def run(*command):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command[:3]))}: exit {result.returncode}: {result.stderr}")
    return result.stdout


def gpt2():
    import transformers
    config = transformers.GPT2Config(n_embd=20, n_layer=4, n_head=4, n_positions=CONTEXT, **SIZES)
    return transformers.GPT2LMHeadModel(config)


def gpt_oss():
    import transformers
    config = transformers.GptOssConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, num_local_experts=4, num_experts_per_tok=2,
        sliding_window=8, max_position_embeddings=256, dtype="bfloat16",
        rope_parameters={"rope_type": "yarn", "rope_theta": 150000.0, "factor": 4.0,
                         "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
                         "original_max_position_embeddings": 64}, **SIZES)
    return transformers.GptOssForCausalLM(config)


FAMILIES = {"gpt2": gpt2, "gpt_oss": gpt_oss, "gpt_oss_mxfp4": gpt_oss}


def make_model(family, folder, tokenizer_files):
    import tokenizers
    import torch
    torch.manual_seed(3)
    torch.set_num_threads(1)
    model = FAMILIES[family]()
    with torch.no_grad():
        for parameter in model.parameters():  # far from its start: every tensor matters
            parameter.add_(torch.randn_like(parameter) * 0.05)
    if family.startswith("gpt_oss"):
        model.bfloat16()
    model.save_pretrained(folder)
    files = (str(tokenizer_files / name) for name in ("vocab.json", "merges.txt"))
    tokenizers.ByteLevelBPETokenizer(*files).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}))


def pack_experts(plain, folder):
    """A copy of a gpt-oss folder with random MXFP4 experts; and puts their numbers into `plain`."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors
    shutil.copytree(plain, folder)
    tensors, packed = load_file(plain / "model.safetensors"), {}
    for name in [n for n in tensors if n.endswith(("experts.gate_up_proj", "experts.down_proj"))]:
        experts, columns, rows = tensors[name].shape
        shape = (experts, rows, columns // 32)
        blocks = torch.randint(0, 256, (*shape, 16), dtype=torch.uint8)
        scales = torch.randint(120, 125, shape, dtype=torch.uint8)
        tensors[name] = convert_moe_packed_tensors(blocks, scales, dtype=torch.bfloat16)
        packed |= {name + "_blocks": blocks, name + "_scales": scales}
    save_file(tensors, plain / "model.safetensors", metadata={"format": "pt"})
    rest = {n: t for n, t in tensors.items() if n + "_blocks" not in packed}
    save_file(rest | packed, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {
        "quant_method": "mxfp4",
        "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router",
                                   "model.embed_tokens", "lm_head"]}
    (folder / "config.json").write_text(json.dumps(config, indent=2))


def same_loss(organ, model, text, work):
    """The mean NLL of organ, proved to be that of transformers."""
    ids = work / "ids.safetensors"
    theirs = json.loads(run(sys.executable, TOOL, model, text, ids, "--context", CONTEXT,
                            "--windows", 20).splitlines()[-1])
    ours = json.loads(run(organ, "eval", model, "--ids", ids, "--context", CONTEXT, "--stride",
                          CONTEXT, "--precision", "fp32", "--json"))
    assert ours["tokens"] == theirs["tokens"], (ours, theirs)
    difference = abs(ours["nll"] / theirs["nll"] - 1)
    print(f"{model.name}: organ {ours['nll']:.8f}, transformers {theirs['nll']:.8f}, relative "
          f"difference {difference:.1e}")
    assert difference < TOLERANCE
    return ours["nll"]


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def train(organ, model, text, work):
    (work / "train.txt").write_text(text[:30000])
    (work / "held_out.txt").write_text(text[-6000:])
    record = json.loads(run(organ, "train", model, "--layers", "1:3", "--data", work / "train.txt",
                            "--held-out", work / "held_out.txt", "--context", CONTEXT, "--batch", 4,
                            "--steps", 20, "--lr", "3e-3", "--precision", "fp32", "--out",
                            work / "organ", "--json"))
    before, after = (e["nll"] for e in record["evaluations"])
    print(f"held out: {before:.4f} before, {after:.4f} after")
    assert after < before - 0.01


def cut_and_put_back(organ, model, recipient, text_file, work, untouched):
    """Layers 2 and 3 in the place of 0 and 1, and out again."""
    before = contents(recipient)
    run(organ, "extract", model, "--layers", "2:4", "--out", work / "cut")
    run(organ, "install", work / "cut", "--into", recipient, "--at", 0, "--allow-unsigned")
    assert abs(same_loss(organ, recipient, text_file, work) - untouched) > 1e-4
    run(organ, "uninstall", recipient)
    assert contents(recipient) == before
    assert same_loss(organ, recipient, text_file, work) == untouched


def refuse_recovery(organ, packed, text_file, work):
    """MXFP4 experts and trained ones do not lie in one folder."""
    result = subprocess.run([organ, "recover", packed, "--layers", "1:2", "--data", text_file,
                             "--out", work / "recovered"], capture_output=True, text=True)
    assert result.returncode == 3 and "MXFP4" in result.stderr, result
    assert not (work / "recovered").exists()


def flow(organ, family, shared, work):
    model, text_file = work / family, shared / "tinyshakespeare.txt"
    make_model(family, model, shared / "gpt2-tokenizer")
    if family == "gpt_oss_mxfp4":
        plain, model = model, work / "packed"
        pack_experts(plain, model)
        packed = shutil.copytree(model, work / "packed_recipient")
        cut_and_put_back(organ, model, packed, text_file, work,
                         same_loss(organ, packed, text_file, work))
        refuse_recovery(organ, packed, text_file, work)
        recipient = plain  # a trained organ holds plain experts
    else:
        recipient = shutil.copytree(model, work / "recipient")
    before = contents(recipient)
    untouched = same_loss(organ, recipient, text_file, work)
    train(organ, model, text_file.read_text(), work)
    verdict = json.loads(run(organ, "check", work / "organ", "--recipient", recipient, "--at", 1,
                             "--json"))
    assert verdict["level"] == "A", verdict
    run(organ, "install", work / "organ", "--into", recipient, "--at", 1, "--allow-unsigned")
    trained = same_loss(organ, recipient, text_file, work)
    assert trained < untouched - 0.01
    run(organ, "uninstall", recipient)
    assert contents(recipient) == before
    if family != "gpt_oss_mxfp4":
        cut_and_put_back(organ, model, recipient, text_file, work, untouched)


def main():
    organ, family = sys.argv[1:]
    peers.enter("torch", "transformers", "tokenizers")
    shared = peers.shared_data("gpt2-tokenizer")
    with tempfile.TemporaryDirectory(prefix="organ-family") as scratch:
        flow(organ, family, shared, pathlib.Path(scratch))


main()
