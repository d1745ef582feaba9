# SPDX-License-Identifier: Apache-2.0
"""tokenizer.json documents trained on a text by `tokenizers` and sentencepiece: the kinds that
BERT, T5 and GPT-OSS use, with vocabularies of thousands of real words."""
import io
import json

import components

SIZE = 4000


def trained_wordpiece(lines, lower):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(lines, trainers.WordPieceTrainer(
        vocab_size=SIZE, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        show_progress=False))
    return components.wordpiece(json.loads(tokenizer.to_str())["model"]["vocab"], lower)


def trained_unigram(lines):
    """Scores in all digits of a double, no normaliser but white space."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(lines, trainers.UnigramTrainer(
        vocab_size=SIZE, special_tokens=["<unk>", "</s>"], unk_token="<unk>",
        show_progress=False))
    pieces = json.loads(tokenizer.to_str())["model"]["vocab"]
    return components.t5_like(pieces, 0, 1, {"type": "Sequence", "normalizers": [
        {"type": "Strip", "strip_left": False, "strip_right": True},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]})


def sentencepiece_unigram(lines, rule, byte_fallback):
    """The real character map of `rule`, scores of single precision."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for line in lines if line.strip()), model_writer=model,
        vocab_size=SIZE, model_type="unigram", normalization_rule_name=rule,
        byte_fallback=byte_fallback, num_threads=1, minloglevel=2)
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    pieces = [[piece.piece, piece.score] for piece in proto.pieces]
    return components.t5_like(pieces, proto.trainer_spec.unk_id, proto.trainer_spec.eos_id,
                              components.precompiled(proto.normalizer_spec.precompiled_charsmap),
                              byte_fallback)


def trained_bpe(lines, pattern):
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=SIZE, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    model = json.loads(tokenizer.to_str())["model"]
    return components.document(
        model["vocab"], model["merges"], model={"ignore_merges": True},
        added_tokens=[components.added(0, "<|endoftext|>")],
        pre_tokenizer=components.sequence(components.split(pattern), components.BYTES_ONLY),
        decoder=components.BYTE_LEVEL)


def documents(lines):
    yield "bert-uncased", trained_wordpiece(lines, True)
    yield "bert-cased", trained_wordpiece(lines, False)
    yield "unigram", trained_unigram(lines)
    yield "t5", sentencepiece_unigram(lines, "nmt_nfkc", False)
    yield "t5-bytes", sentencepiece_unigram(lines, "nfkc_cf", True)
    yield "o200k-bpe", trained_bpe(lines, components.O200K)
    yield "cl100k-bpe", trained_bpe(lines, components.CL100K)
