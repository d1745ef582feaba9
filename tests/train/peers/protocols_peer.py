# SPDX-License-Identifier: Apache-2.0
"""Each protocol of `organ eval` is what transformers gives when it is used that way, whatever its
tokenizer puts before a text; intervals are numpy's; the overlap is that of Python sets; what was
measured otherwise is not compared; the documents follow their schemas.

usage: protocols_peer.py ORGAN_TRAIN SCHEMAS

Needs $ORGAN_PEERS (torch, transformers, tokenizers, numpy, jsonschema); exits 77 without it.
"""
import importlib.util
import json
import math
import pathlib
import random
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import peers  # noqa: E402

PROGRAM, SCHEMAS = sys.argv[1], pathlib.Path(sys.argv[2])
TOOLS = pathlib.Path(__file__).parents[2] / "tools"
CONTEXT, STRIDE, BATCH, GRAM = 48, 20, 3, 13
TOLERANCE = 2e-5  # relative


def organ(*arguments, schema="eval", code=0):
    result = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != code:
        sys.exit(f"organ-train {' '.join(map(str, arguments))}: exit {result.returncode}: "
                 f"{result.stderr}")
    if "--json" not in arguments or code:
        return result.stdout + result.stderr
    record = json.loads(result.stdout)
    if schema:
        import jsonschema
        rules = json.loads((SCHEMAS / f"{schema}.v1.schema.json").read_text())
        jsonschema.validate(record, rules)
    return record


def make_model(folder, seed):
    spec = importlib.util.spec_from_file_location("make_tiny_model", TOOLS / "make_tiny_model.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    options = maker.parse_arguments([str(folder), "--layers", "3", "--seed", str(seed)])
    maker.make_model(options, maker.gaussian_tensors(seed))
    return folder


def put_before_texts(folder, tokens):
    """Gives the model's tokenizer a template with these tokens in front."""
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text())
    vocabulary = document["model"]["vocab"]
    document["post_processor"] = None if not tokens else {
        "type": "TemplateProcessing",
        "single": [*({"SpecialToken": {"id": t, "type_id": 0}} for t in tokens),
                   {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {t: {"id": t, "ids": [vocabulary[t]], "tokens": [t]} for t in tokens}}
    path.write_text(json.dumps(document))


def make_text(seed, documents):
    words = random.Random(seed)
    known = ["".join(words.choices("aeioustrnlm", k=words.randint(1, 7))) for _ in range(60)]
    known += ["né", "\u2003", "\u00a0x"]
    return [" ".join(words.choices(known, k=words.randint(1, 24))).strip("\n")
            for _ in range(documents)]


class Reference:
    """The figures of one model by transformers. Each document stands behind what the tokenizer puts
    before a text, `lead` ids, which are no labels."""

    def __init__(self, folder, documents):
        import tokenizers
        import torch
        import transformers
        self.torch = torch
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager").eval()
        self.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.plain = [self.tokenizer.encode(d, add_special_tokens=False).ids for d in documents]
        self.documents = [self.tokenizer.encode(d).ids for d in documents]
        self.lead = len(self.documents[0]) - len(self.plain[0])
        self.end = self.tokenizer.token_to_id("<|endoftext|>")
        self.text = documents

    def logits(self, ids, **keywords):
        with self.torch.inference_mode():
            return self.model(self.torch.tensor([ids]), **keywords).logits[0].double()

    def losses(self, ids, targets, **keywords):
        """-ln p of each target at its position; 0 for None."""
        scores = self.logits(ids, **keywords).log_softmax(-1)
        return [0.0 if t is None else -scores[i, t].item() for i, t in enumerate(targets)]

    def loss(self, rows, labels, mask=None):
        """transformers' own loss: it shifts, and averages over what is not -100."""
        with self.torch.inference_mode():
            return self.model(self.torch.tensor(rows), labels=self.torch.tensor(labels),
                              attention_mask=mask).loss.item()

    def pieces(self, stride):
        """Windows over the joined documents as (start, document pieces)."""
        stream, owner, self.leads = [], [], set()
        for i, document in enumerate(self.documents):
            self.leads |= set(range(len(stream), len(stream) + self.lead))
            stream += document
            owner += [i] * len(document)
        start = 0
        while True:
            end = min(start + CONTEXT, len(stream))
            piece, parts = start, []
            for at in range(start + 1, end + 1):
                if at == end or owner[at] != owner[at - 1]:
                    parts.append((piece, stream[piece:at]))
                    piece = at
            yield start, parts
            if start + CONTEXT >= len(stream):
                return
            start += stride

    def over_pieces(self, stride, distance, **keywords):
        """Labels are the ids `distance` places on."""
        total, count, done = 0.0, 0, set()
        for _, parts in self.pieces(stride):
            for start, ids in parts:
                labels = ids[distance:] + [None] * distance
                targets = [None if t is None or start + i in done
                           or start + i + distance in self.leads else t
                           for i, t in enumerate(labels[:len(ids)])]
                done |= {start + i for i, t in enumerate(targets) if t is not None}
                if not any(t is not None for t in targets):
                    continue
                extra = {k: v(len(ids)) for k, v in keywords.items()}
                total += sum(self.losses(ids, targets, **extra))
                count += sum(t is not None for t in targets)
        return total / count, count

    def p0(self):
        return self.over_pieces(CONTEXT, 1)

    def p0s(self):
        return self.over_pieces(STRIDE, 1)

    def p0w(self):
        """lm-eval: rolling windows after a first token that is no text, per word of the text."""
        total, count = 0.0, 0
        for ids in self.plain:
            stream = [self.end, *ids]
            for done in range(0, len(ids), CONTEXT):
                fresh = min(CONTEXT, len(ids) - done)
                begin = max(0, done + fresh - CONTEXT)
                window = stream[begin:done + fresh]
                targets = stream[begin + 1:done + fresh + 1]
                total += sum(self.losses(window, targets)[-fresh:])
                count += fresh
        words = sum(len(re.split(r"\s+", document)) for document in self.text)
        return total / words, count

    def padded(self):
        return [(d + [self.end] * CONTEXT)[:CONTEXT] for d in self.documents]

    def labels(self, row):
        """The lead-in is none; the first label is nobody's."""
        lead = max(1, self.lead)
        return [-100] * lead + row[lead:]

    def p1(self):
        rows = self.padded()
        labels = [self.labels(row) for row in rows]
        return self.loss(rows, labels), len(rows) * (CONTEXT - max(1, self.lead))

    def cut(self):
        return [d[:CONTEXT] for d in self.documents]

    def p2(self):
        lead = max(1, self.lead)
        values = [math.exp(self.loss([d], [self.labels(d)])) for d in self.cut() if len(d) > lead]
        return math.log(sum(values) / len(values)), sum(len(d) - lead for d in self.cut())

    def p3(self):
        return self.over_pieces(CONTEXT, 2)

    def p4(self):
        return self.over_pieces(CONTEXT, 0)

    def p5(self):
        zeros = self.torch.zeros
        return self.over_pieces(CONTEXT, 1,
                                attention_mask=lambda n: zeros(1, 1, n, n))

    def p6(self):
        means, rows, cut = [], self.padded(), self.cut()
        for first in range(0, len(rows), BATCH):
            lengths = [len(d) for d in cut[first:first + BATCH]]
            batch = rows[first:first + BATCH]
            labels = [self.labels(row)[:n] + [-100] * (CONTEXT - n)
                      for row, n in zip(batch, lengths)]
            mask = self.torch.tensor([[1] * n + [0] * (CONTEXT - n) for n in lengths])
            means.append(self.loss(batch, labels, mask))
        return sum(means) / len(means), sum(len(d) - max(1, self.lead) for d in cut)


def compare_protocols(model, text, reference):
    for name in ("P0", "P0s", "P0w", "P1", "P2", "P3", "P4", "P5", "P6"):
        options = ["--stride", STRIDE] if name == "P0s" else ["--protocol", name]
        record = organ("eval", model, "--data", text, "--documents", "blank-lines", "--context",
                       CONTEXT, "--batch", BATCH, "--json", *options)
        nll, count = getattr(reference, name.lower())()
        difference = abs(record["nll"] / nll - 1)
        print(f"{name}: {record['tokens']} targets, organ {record['nll']:.8f}, transformers "
              f"{nll:.8f}, relative difference {difference:.1e}")
        assert record["protocol"] == name and record["tokens"] == count, (record, count)
        assert difference < TOLERANCE, name
        expected = [reference.end] if name == "P0w" else reference.documents[0][:reference.lead]
        assert record["lead_in"] == expected, record
        assert abs(record["ppl"] / math.exp(nll) - 1) < 1e-4, name
        diagnostic = name in ("P1", "P2", "P3", "P4", "P5", "P6")
        assert record["comparable"] is not diagnostic and ("watermark" in record) is diagnostic
        if name == "P0w":
            size = len("".join(reference.text).encode())
            bits = nll * record["words"] / math.log(2) / size
            assert abs(record["bits_per_byte"] / bits - 1) < TOLERANCE, record
        if diagnostic:
            sound, _ = reference.p0()
            assert abs(record["sound"]["nll"] / sound - 1) < TOLERANCE, record
            shown = organ("eval", model, "--data", text, "--documents", "blank-lines", "--context",
                          CONTEXT, *options)
            first = shown.splitlines()[0]
            assert first.startswith(f"*** DIAGNOSTIC {name}, NOT THE MODEL'S PERPLEXITY"), shown


def compare_intervals(models, text, folder):
    import numpy
    options = ["--data", text, "--documents", "blank-lines", "--context", CONTEXT, "--json"]
    saved = []
    for i, model in enumerate(models):
        record = organ("eval", model, *options, "--per-document")
        saved.append(folder / f"{i}.json")
        saved[-1].write_text(json.dumps(record))
    by_folder = organ("eval", models[0], "--against", models[1], *options, schema="comparison")
    by_record = organ("eval", saved[0], "--against", saved[1], "--json", schema="comparison")
    assert by_folder["difference"] == by_record["difference"], (by_folder, by_record)
    a, b = (json.loads(path.read_text())["documents"] for path in saved)
    difference = numpy.array([x["nll"] - y["nll"] for x, y in zip(a, b, strict=True)])
    targets = numpy.array([x["targets"] for x in a])
    draws = numpy.random.default_rng(1).integers(0, len(a), (20000, len(a)))
    resampled = difference[draws].sum(1) / targets[draws].sum(1)
    low, high = numpy.percentile(resampled, [2.5, 97.5])
    ours = by_folder["difference"]
    print(f"difference {ours['nll']:+.5f}, organ [{ours['low']:+.5f}, {ours['high']:+.5f}], numpy "
          f"[{low:+.5f}, {high:+.5f}]")
    assert abs(ours["nll"] - difference.sum() / targets.sum()) < 1e-12
    width = high - low
    assert abs(ours["low"] - low) < 0.05 * width and abs(ours["high"] - high) < 0.05 * width
    share = 2 * min((resampled <= 0).mean(), (resampled >= 0).mean())
    share = max(min(1, share), 2.0 ** (1 - len(a)))
    assert abs(ours["chance"] - share) < 0.02, (ours, share)
    refuse_what_is_not_alike(models, saved, options)
    refused = organ("eval", models[0], "--against", models[1], *options, "--protocol", "P4", code=2)
    assert "not comparable" in refused, refused


def refuse_what_is_not_alike(models, saved, options):
    record = json.loads(saved[1].read_text())
    changed = saved[1].with_name("changed.json")
    for change, words in (({"context": 49}, "the context is 48 against 49"),
                          ({"precision": "bf16"}, "the precision is 'fp32' against 'bf16'"),
                          ({"device": "cuda:0"}, "the class of device is 'cpu' against 'cuda'"),
                          ({"lead_in": [1]}, "(lead-in) is 'none' against '1'")):
        changed.write_text(json.dumps({**record, **change}))
        refused = organ("eval", saved[0], "--against", changed, "--json", code=2)
        assert words in refused, refused
    for key in ("precision", "device", "lead_in"):
        old = {k: v for k, v in record.items() if k != key}
        changed.write_text(json.dumps(old))
        for first, second in ((saved[0], changed), (changed, saved[0])):
            refused = organ("eval", first, "--against", second, "--json", code=2)
            assert "'changed.json' was made by an older organ" in refused.replace(
                f"{changed.parent}/", ""), refused
        # Records of then may stand side by side, as they could.
        organ("eval", changed, "--against", changed, "--json", schema="comparison")
    # A model is not measured in vain.
    refused = organ("eval", models[0], "--against", saved[1], *options, "--precision", "bf16", code=2)
    assert "the precision is 'bf16' against 'fp32'" in refused, refused
    assert "self-tests" not in refused, refused
    refused = organ("eval", models[0], "--against", saved[1], *options, "--lead-in", "bos", code=2)
    assert "(lead-in) is '" in refused and "self-tests" not in refused, refused
    for more, words in ((["--protocol", "P0w"], "the protocol is 'P0w' against 'P0'"),
                        (["--stride", "24"], "the protocol is 'P0s")):
        refused = organ("eval", models[0], "--against", saved[1], *options, *more, code=2)
        assert words in refused and "self-tests" not in refused, refused
    other = saved[1].with_name("other.txt")
    other.write_text("another text\n\nof two documents")
    for name, value, words in (("--context", 40, "the context is 40 against 48"),
                               ("--data", other, "the data set is '")):
        changed = list(options)
        changed[changed.index(name) + 1] = value
        refused = organ("eval", models[0], "--against", saved[1], *changed, code=2)
        assert words in refused and "self-tests" not in refused, refused


def compare_overlap(model, text, reference, folder):
    known = reference.text[::3] + make_text(99, 4)
    files = [folder / "train1.txt", folder / "train2.txt"]
    files[0].write_text("\n\n".join(known[:5]))
    files[1].write_text("\n\n".join(known[5:]))

    def grams(ids):
        return [tuple(ids[i:i + GRAM]) for i in range(len(ids) - GRAM + 1)]
    encode = reference.tokenizer.encode
    seen = {g for d in known for g in grams(encode(d, add_special_tokens=False).ids)}
    held_out = [g for d in reference.plain for g in grams(d)]
    record = organ("eval", model, "--data", text, "--documents", "blank-lines", "--context",
                   CONTEXT, "--training-data", *files, "--json")
    overlap = record["overlap"]
    print(f"overlap: {overlap['found']} of {overlap['grams']}")
    assert overlap["grams"] == len(held_out), (overlap, len(held_out))
    assert overlap["found"] == sum(g in seen for g in held_out) > 0, overlap
    assert abs(overlap["share"] - overlap["found"] / len(held_out)) < 1e-12
    assert record["peak_memory_bytes"] > 16 << 20, record


def main():
    peers.enter("torch", "transformers", "tokenizers", "numpy", "jsonschema")
    import torch
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="organ-protocols") as name:
        folder = pathlib.Path(name)
        models = [make_model(folder / f"model{seed}", seed) for seed in (1, 2)]
        documents = make_text(5, 23)
        text = folder / "text.txt"
        text.write_text("\n\n".join(documents))
        for before in (["<|endoftext|>"], ["t", "h"], []):
            put_before_texts(models[0], before)
            reference = Reference(models[0], documents)
            print(f"{reference.lead} ids before each document")
            compare_protocols(models[0], text, reference)
            compare_overlap(models[0], text, reference, folder)
        compare_intervals(models, text, folder)


main()
