# SPDX-License-Identifier: Apache-2.0
"""huggingface_hub loads the model card of an organ and finds in it what organ.json says.

usage: model_card_peer.py MAKE_TINY_ORGAN

Needs $ORGAN_PEERS (huggingface_hub); exits 77 without it.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import peers  # noqa: E402


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    peers.enter("huggingface_hub")
    from huggingface_hub import ModelCard
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch) / "organ"
        subprocess.run([sys.argv[1], folder, "1", "full"], check=True)
        manifest = json.loads((folder / "organ.json").read_text())
        data = ModelCard.load(folder / "README.md").data
    assert data.library_name == "organ", data
    assert data.base_model == manifest["extraction"]["donor_id"], data
    assert data.tags == ["organ", manifest["architecture"]["model_type"]], data
    licence = manifest["license"]
    assert licence and (data.license == licence.lower() or data.license_name == licence), data
    assert manifest["evaluations"] and data.metrics == ["perplexity"], data
    assert data.model_name == manifest["name"], data
    for said, measured in zip(data.eval_results, manifest["evaluations"], strict=True):
        assert said.metric_type == "perplexity" and said.dataset_name == measured["dataset"], said
        assert abs(said.metric_value - measured["perplexity"]) <= 1e-6 * measured["perplexity"], said
        assert measured["protocol"] in said.metric_name and measured["subject"] in said.metric_name
    print(f"{len(data.eval_results)} figures, licence {data.license}, base model {data.base_model}")


main()
