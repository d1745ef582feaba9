# SPDX-License-Identifier: Apache-2.0
"""A home behind a link, a registry that is a link, slashes as the shell puts them: one way through all
commands. tests/cli/paths.py tries every option in every form.

    linked_paths.py ORGAN_PROGRAM
"""
import subprocess
import sys

from support import Case, ROOT


def main():
    case = Case(sys.argv[1])
    real, home = case.folder / "var/home", case.folder / "home"
    real.mkdir(parents=True)
    home.symlink_to(real)
    subprocess.run([sys.executable, ROOT / "tools/make_tiny_model.py", real / "model", "--layers",
                    "4"], check=True, stdout=subprocess.DEVNULL)
    before = (real / "model/model.safetensors").read_bytes()
    link = {"ORGAN_REGISTRY": f"{home}/reg/"}
    case.works("key", "key", "generate", home / "k")
    case.works("extract", "extract", f"{home}/model/", "--layers", "1:3", "--name", "a/b",
               "--organ-version", "1.0.0", "--out", f"{home}/o/")
    case.works("sign", "sign", f"{home}/o/", "--key", home / "k.key")
    case.works("init below a link", "registry", "init", "--key", home / "k.pub", env=link)
    case.works("publish", "publish", f"{home}/o/", env=link)
    (case.folder / "direct").symlink_to(real / "reg")
    for what, registry in (("below a link", f"{home}/reg"), ("a link", f"{case.folder}/direct"),
                           ("a link with a slash", f"{case.folder}/direct/"),
                           ("without one", f"{real}/reg")):
        env = {"ORGAN_REGISTRY": registry}
        for words in (["list"], ["show", "a/b"], ["verify", "a/b:1.0.0"], ["verify", "--all"],
                      ["registry", "rebuild"],
                      ["install", "a/b:1.0.0", "--into", f"{home}/model/", "--at", 1],
                      ["uninstall", f"{home}/model/"]):
            case.works(f"registry {what}: {words[0]}", *words, env=env)
    for words, cwd in ((["extract", ".", "--layers", "1:3", "--out", "../dot"], real / "model"),
                       (["install", ".", "--into", "../model", "--at", 1, "--allow-unsigned"],
                        real / "dot"), (["uninstall", "."], real / "model")):
        case.works(f"{words[0]} .", *words, cwd=cwd)
    case.expect("every undo was exact", (real / "model/model.safetensors").read_bytes() == before)
    case.expect("nothing else was made", sorted(p.name for p in real.iterdir()) ==
                ["dot", "k.key", "k.pub", "model", "o", "reg"], sorted(real.iterdir()))
    case.end()


main()
