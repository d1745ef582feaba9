# SPDX-License-Identifier: Apache-2.0
"""Every family goes through extract, check, install and uninstall, and transformers agrees.

usage: families.py ORGAN SCHEMAS

For each family transformers makes and saves two tiny random models. Layers of the first are put
into the second; transformers must load the result without missing or unexpected tensors, find
every tensor where it belongs, and compute what the second model computes after the same layers
were copied in memory. Then every file must be restored. Each organ.json follows its schema. Needs
$ORGAN_PEERS (torch, transformers, jsonschema); exits 77 without it.
"""
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
import peers  # noqa: E402

LLAMA = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=4, num_attention_heads=2,
             num_key_value_heads=1, vocab_size=32, max_position_embeddings=64)
T5 = dict(vocab_size=32, d_model=16, d_kv=8, d_ff=24, num_layers=4, num_decoder_layers=3,
          num_heads=2, relative_attention_num_buckets=8, relative_attention_max_distance=20)
T5_TABLE = "block.0.layer.0.SelfAttention.relative_attention_bias.weight"

# name: model class, config class, config, prefix of the layers, extract options, first, count, at
KNOWN = {
    "gpt2": ("GPT2LMHeadModel", "GPT2Config",
             dict(vocab_size=32, n_positions=32, n_embd=16, n_layer=4, n_head=2),
             "transformer.h.", [], 0, 2, 1),
    "gpt_oss": ("GptOssForCausalLM", "GptOssConfig",
                dict(LLAMA, head_dim=16, num_local_experts=4, num_experts_per_tok=2,
                     sliding_window=3), "model.layers.", [], 0, 2, 2),
    "bert": ("BertForMaskedLM", "BertConfig",
             dict(vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=4,
                  num_attention_heads=2, max_position_embeddings=32),
             "bert.encoder.layer.", [], 1, 2, 2),
    "bert without head": ("BertModel", "BertConfig",
                          dict(vocab_size=32, hidden_size=16, intermediate_size=24,
                               num_hidden_layers=3, num_attention_heads=2,
                               max_position_embeddings=32), "encoder.layer.", [], 1, 1, 0),
    "t5 decoder": ("T5ForConditionalGeneration", "T5Config", T5, "decoder.block.", [], 0, 2, 1),
    "t5 encoder": ("T5ForConditionalGeneration", "T5Config",
                   dict(T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False),
                   "encoder.block.", ["--stack", "encoder"], 1, 2, 0),
    "t5 encoder alone": ("T5EncoderModel", "T5Config", T5, "encoder.block.", [], 2, 1, 0),
}

# Families whose maths organ does not know: the organ goes back to where it came from.
OPAQUE = {
    "gemma3": ("Gemma3ForCausalLM", "Gemma3TextConfig",
               dict(LLAMA, head_dim=8, sliding_window=4, final_logit_softcapping=30.0,
                    layer_types=["sliding_attention", "full_attention"] * 2),
               "model.layers.", [], 1, 2, 1),
    "phi3": ("Phi3ForCausalLM", "Phi3Config", dict(LLAMA, pad_token_id=0), "model.layers.", [], 0,
             3, 0),
    "mamba": ("MambaForCausalLM", "MambaConfig",
              dict(vocab_size=32, hidden_size=16, state_size=4, num_hidden_layers=3,
                   time_step_rank=2), "backbone.layers.", [], 1, 2, 1),
    "jamba": ("JambaForCausalLM", "JambaConfig",
              dict(LLAMA, num_experts=2, num_experts_per_tok=1, attn_layer_period=2,
                   attn_layer_offset=1, expert_layer_period=2, expert_layer_offset=1,
                   mamba_d_state=4, mamba_dt_rank=2, use_mamba_kernels=False, pad_token_id=0),
              "model.layers.", [], 1, 3, 1),
    "deepseek_v3": ("DeepseekV3ForCausalLM", "DeepseekV3Config",
                    dict(LLAMA, num_key_value_heads=2, moe_intermediate_size=8, n_routed_experts=4,
                         n_group=1, topk_group=1, num_experts_per_tok=2, n_shared_experts=1,
                         first_k_dense_replace=1, q_lora_rank=8, kv_lora_rank=8,
                         qk_rope_head_dim=4, qk_nope_head_dim=4, v_head_dim=8),
                    "model.layers.", [], 0, 2, 0),
    "llama with a soft cap": ("LlamaForCausalLM", "LlamaConfig",
                              dict(LLAMA, attn_logit_softcapping=50.0), "model.layers.", [], 1, 1,
                              1),
    "bart decoder": ("BartForConditionalGeneration", "BartConfig",
                     dict(vocab_size=32, max_position_embeddings=32, d_model=16, encoder_layers=2,
                          decoder_layers=3, encoder_attention_heads=2, decoder_attention_heads=2,
                          encoder_ffn_dim=24, decoder_ffn_dim=24, pad_token_id=0, bos_token_id=1,
                          eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=None),
                     "model.decoder.layers.", ["--stack", "model.decoder.layers"], 1, 2, 1),
}


def run(organ, *arguments, code=0):
    result = subprocess.run([organ, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != code:
        raise SystemExit(f"organ {' '.join(map(str, arguments))}: exit {result.returncode}, "
                         f"expected {code}: {result.stderr}")
    return result.stdout


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.iterdir() if path.is_file()}


def make(family, folder, seed, tables=None):
    import torch
    import transformers
    model_class, config_class, changes = family[:3]
    torch.manual_seed(seed)
    model = getattr(transformers, model_class)(getattr(transformers, config_class)(**changes))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.2 + (parameter.ndim == 1))
            if tables is not None and name.endswith(T5_TABLE):
                parameter.copy_(tables[name])
    model.save_pretrained(folder)
    return model.eval()


def spliced(donor, recipient, prefix, first, count, position):
    state = {name: tensor.clone() for name, tensor in recipient.state_dict().items()}
    for i in range(count):
        source, target = f"{prefix}{first + i}.", f"{prefix}{position + i}."
        for name, tensor in donor.state_dict().items():
            if name.startswith(source) and not name.endswith("relative_attention_bias.weight"):
                state[target + name.removeprefix(source)] = tensor.clone()
    return state


def outputs(model):
    import torch
    ids = torch.arange(18).reshape(2, 9) % 32
    extra = {"decoder_input_ids": ids.flip(1)} if getattr(
        model.config, "is_encoder_decoder", False) and "EncoderModel" not in type(model).__name__ \
        else {}
    with torch.no_grad():
        return model(input_ids=ids, **extra)[0]


def prove_result(folder, recipient, expected, name):
    import torch
    import transformers
    loaded, report = getattr(transformers, type(recipient).__name__).from_pretrained(
        folder, output_loading_info=True)
    wrong = [key for key in ("missing_keys", "unexpected_keys", "mismatched_keys") if report[key]]
    if wrong:
        raise SystemExit(f"{name}: transformers reports {[(key, report[key]) for key in wrong]}")
    found = loaded.state_dict()
    different = [key for key in expected if not torch.equal(found[key], expected[key])]
    if different:
        raise SystemExit(f"{name}: {len(different)} tensors differ, first {different[0]}")
    untouched = outputs(recipient)
    recipient.load_state_dict(expected)
    if not torch.equal(outputs(loaded.eval()), outputs(recipient)):
        raise SystemExit(f"{name}: another output than with the layers copied in memory")
    if torch.equal(untouched, outputs(recipient)):
        raise SystemExit(f"{name}: the organ changes nothing")


def prove(organ, schema, name, family, work):
    import jsonschema
    prefix, options, first, count, position = family[3:]
    donor = make(family, work / "donor", 1)
    tables = {n: p for n, p in donor.state_dict().items() if n.endswith(T5_TABLE)}
    recipient = make(family, work / "recipient", 2, tables)
    run(organ, "extract", work / "donor", "--layers", f"{first}:{first + count}", *options, "--out",
        work / "cut")
    jsonschema.Draft7Validator(schema).validate(json.loads((work / "cut/organ.json").read_text()))
    run(organ, "verify", work / "cut", code=5)  # unsigned, but every digest is right
    before = digests(work / "recipient")
    verdict = json.loads(run(organ, "check", work / "cut", "--recipient", work / "recipient",
                             "--at", position, "--json"))
    fits = verdict["fitting_positions"]
    if position not in fits or name in OPAQUE and fits != [first]:
        raise SystemExit(f"{name}: fits at {fits}")
    run(organ, "install", work / "cut", "--into", work / "recipient", "--at", position,
        "--allow-unsigned")
    prove_result(work / "recipient", recipient,
                 spliced(donor, recipient, prefix, first, count, position), name)
    run(organ, "uninstall", work / "recipient")
    if digests(work / "recipient") != before:
        raise SystemExit(f"{name}: uninstall does not restore every file")
    print(f"{name}: layers {first} to {first + count - 1} at {position}: as in memory, restored")


def prove_table(organ, work):
    """A T5 recipient with another table of position biases is refused, and says so."""
    family = KNOWN["t5 decoder"]
    make(family, work / "donor", 1)
    make(family, work / "other", 2)
    run(organ, "extract", work / "donor", "--layers", "1:2", "--out", work / "cut")
    verdict = json.loads(run(organ, "check", work / "cut", "--recipient", work / "other", "--json",
                             code=3))
    rules = [finding["rule"] for finding in verdict["findings"] if
             finding["severity"] == "refusal"]
    if verdict["level"] != "D" or rules != ["shared_digest"]:
        raise SystemExit(f"another table: level {verdict['level']}, {rules}")
    run(organ, "extract", work / "donor", "--layers", "1:2", "--stack", "encoder", "--out",
        work / "encoder")
    run(organ, "check", work / "encoder", "--recipient", work / "donor")
    print("t5: another table of position biases is refused")


def prove_opaque(organ, work):
    """Another config, another place and two stacks are refused, each with its reason."""
    family = OPAQUE["phi3"]
    make(family, work / "donor", 1)
    changed = {**family[2], "rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}
    make((*family[:2], changed), work / "other", 1)
    run(organ, "extract", work / "donor", "--layers", "0:2", "--out", work / "cut")
    for recipient, position, rules in ((work / "other", 0, ["config"]),
                                       (work / "donor", 1, ["first_layer"])):
        verdict = json.loads(run(organ, "check", work / "cut", "--recipient", recipient, "--at",
                                 position, "--json", code=3))
        found = [finding["rule"] for finding in verdict["findings"]
                 if finding["severity"] == "refusal"]
        if verdict["level"] != "D" or found != rules:
            raise SystemExit(f"opaque layers: level {verdict['level']}, {found}")
    make(OPAQUE["bart decoder"], work / "bart", 1)
    refused = subprocess.run([organ, "extract", work / "bart", "--layers", "0:1", "--out",
                              work / "bart-cut"], capture_output=True, text=True)
    named = all(stack in refused.stderr for stack in
                ("model.decoder.layers (3 layers)", "model.encoder.layers (2 layers)"))
    if refused.returncode != 3 or not named:
        raise SystemExit(f"two stacks: exit {refused.returncode}: {refused.stderr}")
    print("opaque: another config, another place and an undecided stack are refused")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    peers.enter("torch", "transformers", "jsonschema")
    from transformers.utils import logging
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    schema = json.loads((pathlib.Path(sys.argv[2]) / "organ.v1.schema.json").read_text())
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        os.environ["HOME"] = name  # no registry, no policy of the user's
        os.environ.pop("XDG_DATA_HOME", None)
        os.environ.pop("ORGAN_REGISTRY", None)
        for number, (family, description) in enumerate((KNOWN | OPAQUE).items()):
            work = root / str(number)
            work.mkdir()
            prove(sys.argv[1], schema, family, description, work)
        for name, proof in (("table", prove_table), ("opaque", prove_opaque)):
            (root / name).mkdir()
            proof(sys.argv[1], root / name)


if __name__ == "__main__":
    main()
