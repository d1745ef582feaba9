# SPDX-License-Identifier: Apache-2.0
"""A plain transformers training loop over the windows that `organ train` reports, for tests and
benchmarks that compare the two curves. Needs torch, transformers and tokenizers."""
import json


def windows_of(model_folder, text, context):
    """The windows organ makes of one file: ids of the text behind what the tokenizer puts before one,
    closed by the end-of-sequence token, cut and padded; as (ids, labels) rows, labels -100 where there is nothing to predict."""
    import tokenizers
    tokenizer = tokenizers.Tokenizer.from_file(str(model_folder / "tokenizer.json"))
    ids = tokenizer.encode(text).ids
    special = json.loads((model_folder / "tokenizer_config.json").read_text())
    eos = special["eos_token"]
    ids.append(tokenizer.token_to_id(eos["content"] if isinstance(eos, dict) else eos))
    rows = []
    for start in range(0, len(ids), context):
        row = ids[start:start + context]
        padding = context - len(row)
        rows.append((row + [0] * padding, row + [-100] * padding))
    return rows


def train_curve(model_folder, layers, rows, order, rate):
    """(loss, gradient norm) of each step in fp32: AdamW with decay on every tensor, constant rate,
    clipping to norm 1. `order`: the windows of each step."""
    import torch
    import transformers
    torch.set_num_threads(2)
    model = transformers.AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    model.requires_grad_(False)
    trained = [p for i in layers for p in model.model.layers[i].parameters()]
    for parameter in trained:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.01)
    curve = []
    for windows in order:
        ids = torch.tensor([rows[w][0] for w in windows])
        labels = torch.tensor([rows[w][1] for w in windows])
        logits = model(input_ids=ids).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1), ignore_index=-100)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        curve.append((loss.item(), norm.item()))
    return curve
