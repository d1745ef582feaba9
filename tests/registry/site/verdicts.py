# SPDX-License-Identifier: Apache-2.0
"""The page's verdict on a config.json is that of `organ check` on the model: the same level, the same rules
that refuse, the same positions; what is corrupt there is refused here. Every family, every organ against
every model (of these pairs every N-th). The weights are made from the shapes that the page computes, which organ then holds against
the config of the same model.

    verdicts.py ORGAN_PROGRAM [--every N]

Needs Chromium; exits 77 without it.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "support"), str(Path(__file__).parent)]
from chromium import Browser  # noqa: E402
from models import CONFIGS, PREFIXES, REFUSED, SHARED, shapes_of, write_model  # noqa: E402

ORGAN = Path(sys.argv[1]).resolve()


class World:
    def __init__(self, folder, browser):
        self.folder, self.browser = folder, browser
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8",
                    "ORGAN_REGISTRY": str(folder / "registry")}
        self.models, self.organs = {}, {}

    def run(self, *words, codes=(0,)):
        done = subprocess.run([ORGAN, *map(str, words)], env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode in codes, (words, done.returncode, done.stderr)
        return done

    def site(self, name):
        """Writes the catalogue and opens its page."""
        self.run("registry", "site", "--out", self.folder / name)
        self.browser.open(self.folder / name / "index.html")
        return json.loads((self.folder / name / "catalog.json").read_text())

    def shapes(self, config):
        """Of all layers of all stacks, as the page computes them; nothing for what it refuses."""
        found = {}
        for (model_type, stack), prefix in PREFIXES.items():
            if model_type != config.get("model_type"):
                continue
            layers, tensors = self.browser.run(f"""(() => {{
                const model = organFits.readModel({json.dumps(config)}, organPage.data.tables, {json.dumps(stack)});
                return [model.layers, organFits.layerFields(model, 0, 1).tensors];
            }})()""")
            found |= shapes_of(layers, prefix, tensors)
            if stack:
                buckets = config.get("relative_attention_num_buckets", 32)
                found[f"{prefix}0.{SHARED}"] = [buckets, config["num_heads"]]
        return found

    def make_models(self):
        plain = self.shapes(CONFIGS["llama"])
        for name, config in (CONFIGS | REFUSED).items():
            try:
                shapes = self.shapes(config) or plain
            except RuntimeError:  # the page refuses it: what its weights are does not matter
                shapes = plain
            self.models[name] = config, write_model(self.folder / "models" / name, config, shapes)

    def make_organs(self):
        for number, name in enumerate(CONFIGS):
            config, model = self.models[name]
            for stack in ("decoder", "encoder") if config["model_type"] == "t5" else ("",):
                out = self.folder / "organs" / f"{number}{stack}"
                out.parent.mkdir(exist_ok=True)
                more = ["--stack", stack] if stack else []
                self.run("extract", model, "--layers", "1:3" if "short" not in name else "0:2", *more, "--name",
                         f"organ-{number}{stack}", "--organ-version", "1.0.0", "--out", out)
                self.run("publish", out)
                self.organs[f"organ-{number}{stack}"] = out

    def by_page(self, version, data, config, position):
        fields = data["architectures"][version["architecture"]]["fields"]
        return self.browser.run(f"""(() => {{
            try {{
              return organVerdict.judge({json.dumps(version)}, {json.dumps(fields)}, {json.dumps(config)},
                                        organPage.data.tables, {position});
            }} catch (error) {{
              if (error instanceof organFits.Corrupt) return {{corrupt: error.message}};
              throw error;
            }}
        }})()""")

    def compare(self, version, data, name, position):
        config, model = self.models[name]
        done = self.run("check", self.organs[version["name"]], "--recipient", model, "--at", position, "--json",
                        codes=(0, 3, 4))
        page = self.by_page(version, data, config, position)
        what = (version["name"], name, position, page, done.stdout or done.stderr)
        if done.returncode == 4:
            assert "corrupt" in page, what
            return "corrupt"
        record = json.loads(done.stdout)
        assert "corrupt" not in page, what
        if page["level"] is None:
            return "left to organ check"
        refusals = {one["rule"] for one in record["findings"] if one["severity"] == "refusal"}
        shown = {one["rule"] for one in page["findings"]}
        # What the page says it cannot see may still refuse, with its name.
        unseen = refusals & {"shared_digest", "dtype"}
        assert not unseen or page["unsure"], what
        assert shown == refusals - unseen, what
        if not unseen:
            assert page["level"] == record["level"], what
            assert page["fitting"] == record["fitting_positions"], what
        return page["level"]


def pairs(versions, models):
    """Of versions and models, with the position that is asked for."""
    for version in versions:
        for name in models:
            elsewhere = {2} if name in ("llama", "qwen2 window") else set()
            for position in sorted({version["first_layer"]} | elsewhere):
                yield version, name, position


def main():
    every = int(sys.argv[sys.argv.index("--every") + 1]) if "--every" in sys.argv else 1
    with tempfile.TemporaryDirectory(prefix="organ-verdicts-") as name, Browser() as browser:
        world = World(Path(name), browser)
        world.run("registry", "init")
        world.run("key", "generate", world.folder / "k")
        world.run("registry", "trust", world.folder / "k.pub", "--mode", "off")
        world.site("empty")
        world.make_models()
        world.make_organs()
        data = world.site("site")
        seen = {}
        for version, name, position in list(pairs(data["versions"], world.models))[::every]:
            verdict = world.compare(version, data, name, position)
            seen[verdict] = seen.get(verdict, 0) + 1
        assert not browser.complaints, browser.complaints
        assert {"A", "B", "C", "D", "corrupt"} <= set(seen), seen
        print(f"{sum(seen.values())} verdicts equal: {dict(sorted(seen.items()))}")


if __name__ == "__main__":
    main()
