#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/train/<case>: tiny random models as transformers sees them.

Each case holds config.json and model.safetensors (fp32) and reference.safetensors:
  ids, targets     int64 [rows, length]; a target of -1 does not count
  hidden.<i>       input of layer i; hidden.<layers> is what the final norm reads
  logits           [rows * length, vocabulary]
  loss             sum of the negative log likelihoods of the targets
  grad.<tensor>    d(loss / targets)/d(tensor) for every tensor of every layer
  grad.hidden.0    the same for the input of layer 0
  end_key         int64 [rows, length], of masked models: one past the last token of the row's text
  source          int64 [1], of T5: the first so many positions of each row are the encoder's;
                  end_key is one past the last of them that is text, logits are of the others only

and bf16_cosines.txt: of each gradient above, the cosine between it and the gradient that
transformers' own autograd gives when the model is bf16: what the rounding costs.

Tensors are named as in the case's model.safetensors.

usage: make_train_fixtures.py OUTPUT_FOLDER [CASE...]   (needs torch, transformers, safetensors)
"""
import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file

LLAMA = dict(hidden_size=32, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=2, vocab_size=61, max_position_embeddings=64, rms_norm_eps=1e-5,
             bos_token_id=1, eos_token_id=2, pad_token_id=None, attention_dropout=0.0)
GPT2 = dict(n_embd=24, n_layer=3, n_head=4, vocab_size=61, n_positions=64, bos_token_id=1,
            eos_token_id=2, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0)
GPT_OSS = dict(hidden_size=24, intermediate_size=20, num_hidden_layers=2, num_attention_heads=4,
               num_key_value_heads=2, head_dim=8, num_local_experts=4, num_experts_per_tok=2,
               vocab_size=61, sliding_window=3, max_position_embeddings=64,
               bos_token_id=1, eos_token_id=2, pad_token_id=None, attention_dropout=0.0)
BERT = dict(hidden_size=24, num_hidden_layers=3, num_attention_heads=4, intermediate_size=40,
            vocab_size=61, max_position_embeddings=64, attention_probs_dropout_prob=0.0,
            hidden_dropout_prob=0.0)
T5 = dict(d_model=24, d_kv=8, d_ff=40, num_layers=2, num_decoder_layers=2, num_heads=3,
          vocab_size=61, dropout_rate=0.0, decoder_start_token_id=0)
# Of each family: what its cases share, and the names of the model's parts.
LLAMA_PARTS = (LLAMA, "model", "embed_tokens", "layers", "norm")
FAMILIES = {"GPT2": (GPT2, "transformer", "wte", "h", "ln_f"),
            "GptOss": (GPT_OSS, *LLAMA_PARTS[1:]), "Bert": (BERT, "bert", None, None, None),
            "T5": (T5, None, None, None, None)}


def rope(theta=10000.0, kind="default", **extra):
    return {"rope_theta": theta, "rope_type": kind, **extra}


# name: (model class, changes to the family's configuration, rows, length)
CASES = {
    "llama": ("Llama", dict(tie_word_embeddings=False, rope_parameters=rope()), 2, 21),
    # One key head, head size that is not hidden / heads, every bias, llama3 rotation, tied head.
    "llama_odd": ("Llama", dict(num_key_value_heads=1, head_dim=12, attention_bias=True,
                                mlp_bias=True, tie_word_embeddings=True, max_position_embeddings=32,
                                rope_parameters=rope(500.0, "llama3", factor=4.0,
                                                     low_freq_factor=1.0, high_freq_factor=4.0,
                                                     original_max_position_embeddings=16)), 2, 21),
    # Longer than one block of queries, linear rotation.
    "llama_long": ("Llama", dict(hidden_size=16, intermediate_size=24, vocab_size=29,
                                 num_hidden_layers=2, tie_word_embeddings=True,
                                 max_position_embeddings=512,
                                 rope_parameters=rope(1000.0, "linear", factor=2.0)), 1, 150),
    # Longer than the model was made for.
    "llama_dynamic": ("Llama", dict(tie_word_embeddings=True, max_position_embeddings=16,
                                    rope_parameters=rope(100.0, "dynamic", factor=2.0)), 1, 30),
    "mistral": ("Mistral", dict(sliding_window=3, tie_word_embeddings=False,
                                rope_parameters=rope()), 2, 21),
    "qwen2": ("Qwen2", dict(use_sliding_window=True, sliding_window=5, max_window_layers=1,
                            tie_word_embeddings=True, rope_parameters=rope()), 2, 21),
    "qwen3": ("Qwen3", dict(head_dim=16, tie_word_embeddings=True, max_position_embeddings=64,
                            rope_parameters=rope(100.0, "yarn", factor=4.0,
                                                 original_max_position_embeddings=16)), 2, 21),
    "gpt2": ("GPT2", dict(), 2, 21),
    # An odd head size, an inner size that is not 4 x hidden, erf gelu, its own head; longer than
    # one block of queries.
    "gpt2_odd": ("GPT2", dict(n_embd=15, n_head=3, n_layer=2, n_inner=44, n_positions=140,
                              activation_function="gelu", layer_norm_epsilon=1e-3, vocab_size=29,
                              tie_word_embeddings=False), 1, 140),
    # Scores divided by the layer's number too, and computed in fp32 when the model is bf16.
    "gpt2_scaled": ("GPT2", dict(scale_attn_by_inverse_layer_idx=True,
                                 reorder_and_upcast_attn=True), 2, 21),
    # Scores that nothing but the layer's number divides.
    "gpt2_unscaled": ("GPT2", dict(n_layer=2, scale_attn_weights=False,
                                   scale_attn_by_inverse_layer_idx=True), 2, 21),
    "gpt_oss": ("GptOss", dict(rope_parameters=rope(150000.0, "yarn", factor=4.0, beta_fast=4.0,
                                                    beta_slow=1.0, truncate=False,
                                                    original_max_position_embeddings=16)), 2, 21),
    # Experts stored as MXFP4, whose blocks are 32 wide; a limit low enough to cut; one key head.
    "gpt_oss_mxfp4": ("GptOss", dict(hidden_size=32, intermediate_size=32, num_key_value_heads=1,
                                     swiglu_alpha=1.5, swiglu_limit=0.7,
                                     rope_parameters=rope(100.0)), 1, 30),
    # Masked: targets are the ids behind the mask; the last row ends in padding.
    "bert": ("Bert", dict(), 2, 21),
    # Longer than one block of queries, an odd head size, its own head.
    "bert_odd": ("Bert", dict(hidden_size=15, num_attention_heads=3, num_hidden_layers=2,
                              intermediate_size=44, vocab_size=29, max_position_embeddings=140,
                              hidden_act="gelu_new", layer_norm_eps=1e-3,
                              tie_word_embeddings=False), 2, 140),
    # Encoder-decoders: rows are the source and the target. The last source ends in padding.
    "t5": ("T5", dict(), 2, (17, 11)),
    # As T5 1.1: gated, its own head, whose input is not scaled. More decoder than encoder.
    "t5_gated": ("T5", dict(num_layers=1, num_decoder_layers=3, feed_forward_proj="gated-gelu",
                            tie_word_embeddings=False), 2, (17, 11)),
    # Both parts longer than one block of queries, few buckets, inner width that is not hidden.
    "t5_odd": ("T5", dict(d_model=12, d_kv=5, d_ff=20, num_heads=3, num_layers=2, vocab_size=29,
                          num_decoder_layers=1, relative_attention_num_buckets=10,
                          relative_attention_max_distance=50), 1, (150, 140)),
}
# Experts stored as MXFP4.
PACKED = {"gpt_oss_mxfp4"}
# No token of these ids is so near a tie of two experts, and no number so near the limit of the
# experts, that rounding to bf16 could decide it.
IDS_SEED = {"gpt_oss": 237, "gpt_oss_mxfp4": 438}
# Saved as GPT-2 lies on the hub.
WITHOUT_PREFIX = {"gpt2"}


def parts_of(family):
    return FAMILIES.get(family, LLAMA_PARTS)


def make_model(family, changes):
    config = getattr(transformers, family + "Config")(**{**parts_of(family)[0], **changes})
    config._attn_implementation = "eager"
    kind = {"GPT2": "LMHeadModel", "Bert": "ForMaskedLM",
            "T5": "ForConditionalGeneration"}.get(family, "ForCausalLM")
    model = getattr(transformers, family + kind)(config).float().eval()
    if family == "T5" and not config.scale_decoder_outputs:  # transformers ties what it makes
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():  # norms and biases must not be trivial
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.15
                            + (1.0 if parameter.ndim == 1 else 0.0))
        for name, parameter in model.named_parameters():
            if name.endswith(".bias"):
                parameter.sub_(1.0)
            if "relative_attention_bias" in name:
                parameter.mul_(3.0)
            if name.endswith("Attention.q.weight"):  # T5's start does what 1 / sqrt(d_kv) does
                parameter.mul_(config.d_kv ** -0.5)
    return model


def pack_experts(model):
    """Puts random MXFP4 numbers into the experts; returns their blocks and scales by name.

    The numbers that are cut at the limit have a step in their gradient there, and no two precisions
    agree on which side a number near it lies. So gates and ups are given small weights and biases
    that put each well inside of the limit or well beyond it.
    """
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors
    generator = torch.Generator().manual_seed(13)
    packed = {}
    for name, parameter in model.named_parameters():
        if name.endswith("experts.gate_up_proj_bias"):
            side = torch.randint(-1, 2, parameter.shape, generator=generator)
            with torch.no_grad():
                parameter.add_(3.0 * model.config.swiglu_limit * side)
        if not name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            continue
        experts, columns, rows = parameter.shape
        shape = (experts, rows, columns // 32)
        blocks = torch.randint(0, 256, (*shape, 16), generator=generator, dtype=torch.uint8)
        low = 118 if "gate_up" in name else 121
        scales = torch.randint(low, low + 4, shape, generator=generator, dtype=torch.uint8)
        packed |= {name + "_blocks": blocks, name + "_scales": scales}
        with torch.no_grad():
            parameter.copy_(convert_moe_packed_tensors(blocks, scales, dtype=torch.float32))
    model.config.quantization_config = {
        "quant_method": "mxfp4",
        "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router",
                                   "model.embed_tokens", "lm_head"]}
    return packed


def check_packed(folder, model):
    """transformers reads the folder as the model it was made from."""
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for name, parameter in loaded.named_parameters():
        assert torch.equal(parameter, model.get_parameter(name)), name


def reference(model, family, rows, length, seed):
    _, body, embedding, layers, norm = parts_of(family)
    body = getattr(model, body)
    generator = torch.Generator().manual_seed(seed)
    vocabulary = model.config.vocab_size
    ids = torch.randint(0, vocabulary, (rows, length), generator=generator)
    targets = torch.full_like(ids, -1)
    targets[:, :-1] = ids[:, 1:]
    targets[0, 3] = -1
    embedded = getattr(body, embedding)(ids).detach().requires_grad_()
    hidden = []
    hooks = [layer.register_forward_pre_hook(lambda _, args: hidden.append(args[0].detach()))
             for layer in getattr(body, layers)]
    hooks.append(getattr(body, norm).register_forward_pre_hook(
        lambda _, args: hidden.append(args[0].detach())))
    logits = model(inputs_embeds=embedded).logits.reshape(rows * length, vocabulary)
    for hook in hooks:
        hook.remove()
    loss = torch.nn.functional.cross_entropy(logits, targets.reshape(-1), ignore_index=-1,
                                             reduction="sum")
    model.zero_grad()
    (loss / (targets >= 0).sum()).backward()
    out = {"ids": ids, "targets": targets, "logits": logits.detach(),
           "loss": loss.detach().reshape(1), "grad.hidden.0": embedded.grad}
    out |= {f"hidden.{i}": h for i, h in enumerate(hidden)}
    out |= {"grad." + n: p.grad for n, p in model.named_parameters() if f".{layers}." in n}
    return {name: tensor.contiguous().clone() for name, tensor in out.items()}


def masked_reference(model, rows, length):
    """A masked model: ids drawn, some of them behind the mask, the last row ended by padding."""
    generator = torch.Generator().manual_seed(11)
    vocabulary = model.config.vocab_size
    text = torch.randint(3, vocabulary, (rows, length), generator=generator)
    chosen = torch.rand((rows, length), generator=generator) < 0.3
    end_key = torch.full((rows, length), length)
    end_key[-1] = length - 5
    real = torch.arange(length) < end_key
    targets = text.masked_fill(~(chosen & real), -1)
    ids = text.masked_fill(chosen, 2).masked_fill(~real, 0)
    hidden = []

    def keep(_, args):
        hidden.append(args[0])
        if args[0].requires_grad:
            args[0].retain_grad()

    hooks = [layer.register_forward_pre_hook(keep) for layer in model.bert.encoder.layer]
    hooks.append(model.cls.register_forward_pre_hook(keep))
    logits = model(ids, attention_mask=real.long()).logits.reshape(rows * length, vocabulary)
    for hook in hooks:
        hook.remove()
    loss = torch.nn.functional.cross_entropy(logits, targets.reshape(-1), ignore_index=-1,
                                             reduction="sum")
    model.zero_grad()
    (loss / (targets >= 0).sum()).backward()
    out = {"ids": ids, "targets": targets, "end_key": end_key, "logits": logits.detach(),
           "loss": loss.detach().reshape(1), "grad.hidden.0": hidden[0].grad}
    out |= {f"hidden.{i}": h.detach() for i, h in enumerate(hidden)}
    out |= {"grad." + n: p.grad for n, p in model.named_parameters() if ".layer." in n}
    return {name: tensor.contiguous().clone() for name, tensor in out.items()}


def encoder_decoder_reference(model, rows, lengths):
    source, target = lengths
    generator = torch.Generator().manual_seed(11)
    vocabulary = model.config.vocab_size
    read = torch.randint(2, vocabulary, (rows, source), generator=generator)
    labels = torch.randint(2, vocabulary, (rows, target), generator=generator)
    given = torch.cat([torch.zeros((rows, 1), dtype=torch.long), labels[:, :-1]], 1)
    end_key = torch.full((rows, source + target), source)
    end_key[-1] = source - 5
    text = torch.arange(source) < end_key[:, :source]
    targets = torch.cat([torch.full_like(read, -1), labels], 1)
    targets[0, source + 3] = -1
    embedded = model.shared(torch.cat([read, given], 1)).detach().requires_grad_()
    blocks, ends = {"encoder": [], "decoder": []}, {}
    hooks = []
    for name, kept in blocks.items():
        stack = getattr(model, name)
        hooks += [block.register_forward_pre_hook(
            lambda _, args, kept=kept: kept.append(args[0].detach())) for block in stack.block]
        hooks.append(stack.final_layer_norm.register_forward_hook(
            lambda _, args, out, name=name: ends.update({name: (args[0].detach(), out.detach())})))
    logits = model(inputs_embeds=embedded[:, :source], attention_mask=text.long(),
                   decoder_inputs_embeds=embedded[:, source:]).logits.reshape(-1, vocabulary)
    for hook in hooks:
        hook.remove()
    loss = torch.nn.functional.cross_entropy(logits, targets[:, source:].reshape(-1),
                                             ignore_index=-1, reduction="sum")
    model.zero_grad()
    (loss / (targets >= 0).sum()).backward()
    streams = [(each, blocks["decoder"][0]) for each in blocks["encoder"]]
    streams += [(ends["encoder"][1], each) for each in [*blocks["decoder"], ends["decoder"][0]]]
    out = {"ids": torch.cat([read, given], 1), "targets": targets, "end_key": end_key,
           "source": torch.tensor([source]), "logits": logits.detach(),
           "loss": loss.detach().reshape(1), "grad.hidden.0": embedded.grad}
    out |= {f"hidden.{i}": torch.cat(parts, 1) for i, parts in enumerate(streams)}
    out |= {"grad." + n: p.grad for n, p in model.named_parameters()
            if ".block." in n and "relative_attention_bias" not in n}
    return {name: tensor.contiguous().clone() for name, tensor in out.items()}


def compute(model, name):
    family, _, rows, length = CASES[name]
    if family == "T5":
        return encoder_decoder_reference(model, rows, length)
    if family == "Bert":
        return masked_reference(model, rows, length)
    return reference(model, family, rows, length, IDS_SEED.get(name, 11))


def bf16_cosines(model, name, expected):
    """Of the tensors whose gradient is more than rounding. The model is bf16 afterwards."""
    model.config._experts_implementation = "eager"  # the grouped one wants wider rows in bf16
    rounded = compute(model.bfloat16(), name)
    cosines = {}
    for tensor, theirs in expected.items():
        if tensor.startswith("grad.") and theirs.abs().max() > 1e-6:
            a, b = rounded[tensor].double().flatten(), theirs.double().flatten()
            cosines[tensor] = (a @ b / (a.norm() * b.norm())).item()
    return cosines


def main():
    target = pathlib.Path(sys.argv[1])
    for name in sys.argv[2:] or CASES:
        family, changes = CASES[name][:2]
        folder = target / name
        folder.mkdir(parents=True, exist_ok=True)
        model = make_model(family, changes)
        packed = pack_experts(model) if name in PACKED else {}
        state = {n: p.detach().contiguous().clone() for n, p in model.named_parameters()
                 if n + "_blocks" not in packed} | packed
        expected = compute(model, name)
        if name in WITHOUT_PREFIX:
            state = {n.removeprefix("transformer."): p for n, p in state.items()}
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        config = model.config.to_dict()
        config.pop("transformers_version", None)
        (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        if packed:
            check_packed(folder, model)
        cosines = bf16_cosines(model, name, expected)
        if name in WITHOUT_PREFIX:
            expected = {n.replace(".transformer.", "."): p for n, p in expected.items()}
            cosines = {n.replace(".transformer.", "."): c for n, c in cosines.items()}
        save_file(expected, folder / "reference.safetensors")
        (folder / "bf16_cosines.txt").write_text(
            "".join(f"{tensor} {cosine:.6f}\n" for tensor, cosine in cosines.items()))
        sizes = sum(f.stat().st_size for f in folder.iterdir())
        print(f"{name}: {sizes} bytes")


if __name__ == "__main__":
    main()
