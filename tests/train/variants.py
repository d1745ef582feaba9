# SPDX-License-Identifier: Apache-2.0
"""Configs of every family compute what transformers computes, or are refused by name.

usage: variants.py ORGAN_TRAIN [--every-key] [PART…]
       variants.py --self-test

For each config (tests/train/support/variant_cases.py) transformers makes a small random model; `organ
eval` measures it in fp32. Its loss equals transformers' within 1e-6, or the config is refused with a
message that names what was changed; what is in cases.COMPUTED may not be refused. Where transformers
makes no model of a config organ refuses it too; with --every-key, where it has many ways to fail, what
organ computes alone is counted. Of each family cases.LEAST_EQUAL configs or more are equal. --every-key: every key of every family's configuration class, what transformers reads of any
config, and every kind and member of rotary scaling have their turn too. PART: only variants whose name has one of these.
--self-test: what must be found is found. Needs $ORGAN_PEERS; exits 77 without it.
"""
import collections
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE / "support"), str(HERE / "peers")]
import peers  # noqa: E402

if __name__ == "__main__" and "--self-test" not in sys.argv:
    peers.enter("torch", "transformers", "tokenizers", "safetensors")

import mlm_parity  # noqa: E402
import span_parity  # noqa: E402
import variant_cases as cases  # noqa: E402

TOLERANCE = 1e-6  # relative
SEEN = 1e-5  # relative: a change that moves the loss further is seen
ROWS, LENGTH, SEED = 3, 48, 7
REFUSALS = (3, 4)  # exit codes: incompatible, corrupt
TEXT = "the heart of an organ is a layer; a liver has none, it has a kidney or two of them. " * 16
Result = collections.namedtuple("Result", "family name kind peer ours detail")


def laid_over(family, change):
    config = {**cases.BASES[family], **change}
    return {key: value for key, value in config.items() if value is not cases.GONE}


def name_of(change):
    return json.dumps({key: "(absent)" if value is cases.GONE else value
                       for key, value in change.items()})


def words_of(change):
    """What a refusal may name: the keys that were changed, and their members."""
    words = set(change)
    for value in change.values():
        words |= set(value) if isinstance(value, dict) else set()
    return words


def randomise(model):
    import torch
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.25)
            elif name.endswith("bias") or "sinks" in name:
                parameter.normal_(0, 0.5)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.2)


def model_class(family):
    import transformers
    return {"bert": transformers.AutoModelForMaskedLM,
            "t5": transformers.AutoModelForSeq2SeqLM}.get(family, transformers.AutoModelForCausalLM)


def make_files(family, config, folder):
    """The weights of what transformers makes of `config`."""
    import torch
    import transformers
    (folder / "config.json").write_text(json.dumps(config))
    torch.manual_seed(1)
    model = model_class(family).from_config(transformers.AutoConfig.from_pretrained(folder),
                                            dtype=torch.float32)
    randomise(model)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "config.json").write_text(json.dumps(config))


def causal_loss(folder, ids):
    import torch
    import transformers
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager").eval()
    total = 0.0
    with torch.inference_mode():
        for row in ids:
            logits = model(row[None], return_dict=True).logits[0, :-1].double()
            total += torch.nn.functional.cross_entropy(logits, row[1:], reduction="sum").item()
    return total / (ids.shape[0] * (ids.shape[1] - 1))


class Family:
    """What is measured of one family: ids of a file, or a text where tokens are hidden or dropped."""

    def __init__(self, family, work):
        self.name, self.text = family, work / f"{family}.txt"
        self.task = {"bert": mlm_parity, "t5": span_parity}.get(family)
        if self.task:
            self.context = self.task.CONTEXT
            self.text.write_text(TEXT[:len(TEXT) // self.context * self.context])
        self.plain = work / f"{family}.plain"
        self.plain.mkdir()
        self.prepare(cases.BASES[family], self.plain)

    def prepare(self, config, folder):
        """Makes the files of `config`; returns what transformers says of them."""
        make_files(self.name, config, folder)
        if self.task:
            tokenizer = self.task.write_tokenizer(folder)
            return self.task.expected_loss(folder, tokenizer, self.text.read_text(), SEED)[0]
        return causal_loss(folder, self.write_ids(config, folder))

    def write_ids(self, config, folder):
        import torch
        from safetensors.torch import save_file
        vocabulary = min(config.get("vocab_size") or 61, cases.BASES[self.name]["vocab_size"])
        ids = torch.randint(3, vocabulary, (ROWS, LENGTH), generator=torch.Generator().manual_seed(7))
        save_file({"ids": ids}, folder / "rows.ids")
        return ids

    def options(self, folder):
        if self.task:
            return ["--data", self.text, "--context", self.context, "--mask-seed", SEED]
        return ["--ids", folder / "rows.ids"]


def peer_says(family, config, folder):
    """(loss, "") or (None, why transformers makes or runs no such model)."""
    try:
        return family.prepare(config, folder), ""
    except Exception as error:  # whatever a config makes it raise
        reason = f"{type(error).__name__}: {str(error).strip()[-160:]}"
    # organ is asked about the files of the unchanged model under this config.
    shutil.rmtree(folder)
    shutil.copytree(family.plain, folder)
    (folder / "config.json").write_text(json.dumps(config))
    return None, " ".join(reason.split())


def organ_says(program, folder, family):
    done = subprocess.run([program, "eval", folder, "--precision", "fp32", "--json",
                           *map(str, family.options(folder))], capture_output=True, text=True)
    shutil.rmtree(folder)
    return done.returncode, done.stdout, done.stderr


def judge(family, change, peer, reason, answer, alone_is_fine):
    code, out, err = answer
    result = lambda kind, ours=None, detail="": Result(  # noqa: E731
        family.name, name_of(change), kind, peer, ours, detail)
    message = " ".join(err.split())
    if code == 0:
        ours = json.loads(out)["nll"]
        if peer is None:
            return result("computed alone" if alone_is_fine else "COMPUTED ALONE", ours, reason)
        # NaN is no equal of anything.
        if abs(ours - peer) <= TOLERANCE * abs(peer):
            return result("equal", ours)
        return result("DIFFERENT", ours)
    if code not in REFUSALS:
        return result("FAILED", detail=f"exit {code}: {message}")
    if peer is None:
        return result("refused by both", detail=f"{message} | {reason}")
    if set(change) and set(change) <= cases.COMPUTED.get(family.name, set()):
        return result("REFUSED ALL THE SAME", detail=message)
    if not any(word in message for word in words_of(change)):
        return result("REFUSED WITHOUT A NAME", detail=message)
    return result("refused", detail=message)


def all_cases(every_key):
    """(family, change), each once."""
    import transformers
    from transformers.activations import ACT2CLS
    listed = []
    for table in (cases.REVIEWED, cases.COMBINED):
        listed += [(family, change) for family, changes in table.items() for change in changes]
    listed += [(family, {key: value}) for family in cases.BASES
               for key, values in cases.READ_OF_ALL.items() for value in values]
    if every_key:
        listed += cases.rope_cases()
    for family in cases.BASES if every_key else []:
        config = transformers.AutoConfig.for_model(family)
        keys = {field.name: "None" in str(field.type) for field in dataclasses.fields(config)}
        own = cases.ACTIVATION.get(family, "hidden_act")
        untried = set(keys) - set(cases.VALUES) - {own}
        assert not untried, f"{family}: no values are tried of {sorted(untried)}"
        listed += [(family, change) for change in
                   cases.single_cases(family, keys, sorted(ACT2CLS), config.attribute_map)]
    return list({(family, name_of(change)): (family, change) for family, change in listed}.values())


def measure(program, work, listed, alone_is_fine):
    """One result per case; organ runs beside transformers."""
    families = {}
    waiting = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for i, (name, change) in enumerate(listed):
            folder = work / str(i)
            folder.mkdir()
            if name not in families:
                families[name] = Family(name, work)
            family = families[name]
            peer, reason = peer_says(family, laid_over(name, change), folder)
            waiting.append((family, change, peer, reason,
                            pool.submit(organ_says, program, folder, family)))
            while len(waiting) > 2:
                *known, answer = waiting.popleft()
                yield judge(*known, answer.result(), alone_is_fine)
        for *known, answer in waiting:
            yield judge(*known, answer.result(), alone_is_fine)


def report(results):
    by_family = collections.defaultdict(list)
    for result in results:
        by_family[result.family].append(result)
    for family, found in by_family.items():
        count = collections.Counter(result.kind for result in found)
        plain = next((r.peer for r in found if r.name == "{}"), None)
        equal = [r for r in found if r.kind == "equal"]
        worst = max((abs(r.ours - r.peer) / abs(r.peer) for r in equal), default=0)
        seen = sum(plain is not None and abs(r.peer - plain) > SEEN * plain for r in equal)
        kinds = ", ".join(f"{kind} {n}" for kind, n in sorted(count.items()))
        print(f"{family}: {kinds}; largest relative difference {worst:.1e}, "
              f"{seen} of the equal ones change the loss")


def too_few(results):
    """What is wrong where hardly anything was compared."""
    equal = collections.Counter(result.family for result in results if result.kind == "equal")
    return [f"{family}: {equal[family]} configs are equal, expected {least} or more"
            for family, least in cases.LEAST_EQUAL.items() if equal[family] < least]


def self_test():
    family = types.SimpleNamespace(name="llama")
    computed, refused, unnamed = (0, '{"nll": 2.0}', ""), (3, "", "some_key"), (3, "", "no")
    found = [judge(family, {"some_key": 1}, *case).kind
             for case in ((None, "", computed, False), (None, "", computed, True),
                          (2.0, "", computed, False), (2.1, "", computed, False),
                          (None, "", refused, False), (2.0, "", refused, False),
                          (2.0, "", unnamed, False), (2.0, "", (1, "", "some_key"), False))]
    assert found == ["COMPUTED ALONE", "computed alone", "equal", "DIFFERENT", "refused by both",
                     "refused", "REFUSED WITHOUT A NAME", "FAILED"], found
    enough = [Result(name, "", "equal", 1, 1, "") for name, least in cases.LEAST_EQUAL.items()
              for _ in range(least)]
    assert too_few(enough) == []
    assert len(too_few(enough[1:])) == 1
    # A transformers that makes no model any more.
    gone = [r._replace(kind="refused by both") for r in enough]
    assert len(too_few(gone)) == len(cases.BASES)


def main():
    if "--self-test" in sys.argv:
        return self_test()
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    import torch
    import transformers
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.utils.logging.disable_progress_bar()
    program, every_key = sys.argv[1], "--every-key" in sys.argv
    parts = [part for part in sys.argv[2:] if part != "--every-key"]
    listed = [case for case in all_cases(every_key)
              if not parts or any(part in f"{case[0]} {name_of(case[1])}" for part in parts)]
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["HOME"] = scratch  # no registry, no policy of the user's
        for result in measure(program, pathlib.Path(scratch), listed, every_key):
            results.append(result)
            print(f"{result.kind:16} {result.family} {result.name} peer {result.peer} organ "
                  f"{result.ours} {result.detail}"[:600], flush=True)
    report(results)
    bad = [f"{r.kind}: {r.family} {r.name}: peer {r.peer} organ {r.ours} {r.detail}"
           for r in results if r.kind.isupper()]
    bad += [] if parts else too_few(results)
    for line in bad:
        print(f"BAD: {line}", file=sys.stderr)
    sys.exit(len(bad) != 0)


if __name__ == "__main__":
    main()
