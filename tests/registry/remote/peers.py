# SPDX-License-Identifier: Apache-2.0
"""What is pushed is what other programs read: modelpack-client and oras of PyPI pull it file for file;
what an organ of before has published travels under its old identity.

    peers.py ORGAN_PROGRAM SOURCE_ROOT

Exits 77 without docker-registry or the packages.
"""
import json
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))
import peers  # noqa: E402
from servers import DockerRegistry, Site, make_model, run_cases  # noqa: E402

ORGAN, SOURCE = (Path(word).resolve() for word in sys.argv[1:3])
MADE = SOURCE / "tests" / "data" / "made_before"
NAME = "legal/contracts"


def pushed(case, registry):
    make_model(case.folder / "model")
    site = Site(ORGAN, case.folder, "here")
    site.publish(case.folder / "model", NAME, "1.0.0", "0:2")
    site.run("push", NAME, registry.oci("organs/contracts"))
    return site, site.folder / "organ-1.0.0"


def equal_files(folder, organ):
    expected = {path.name: path.read_bytes() for path in organ.iterdir() if path.name != "model.sig"}
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == expected, (sorted(found), sorted(expected))


def modelpack_client_pulls(case):
    import modelpack_client
    with DockerRegistry(case.folder) as registry:
        _, organ = pushed(case, registry)
        client = modelpack_client.ModelPackClient(insecure=True)
        client.pull(f"{registry.host}/organs/contracts:1.0.0", case.folder / "out")
        equal_files(case.folder / "out", organ)


def modelpack_client_refuses_what_was_before(case):
    """Why versions list every layer now: the old ones are readable here, and refused there."""
    import modelpack_client
    with DockerRegistry(case.folder) as registry:
        site = Site(ORGAN, case.folder, "old", MADE / "publisher.pub")
        shutil.rmtree(site.registry)
        shutil.copytree(MADE / "registry", site.registry)
        site.run("registry", "remember", "--replace")
        old = json.loads(site.run("list", "--json"))["versions"][0]
        result = site.json("push", "old/legal:1.0.0", registry.oci("old/legal"))
        assert result["digest"] == old["digest"], result
        there = Site(ORGAN, case.folder, "there", MADE / "publisher.pub")
        pulled = there.json("pull", registry.oci("old/legal:1.0.0"), "old/legal:1.0.0")
        assert pulled["digest"] == old["digest"] and pulled["signatures"] == 1, pulled
        there.run("verify", "--all")
        again = there.json("publish", MADE / "organ", "old/legal:1.0.0")
        assert again["already_published"] and again["digest"] == old["digest"], again
        try:
            modelpack_client.ModelPackClient(insecure=True).pull(
                f"{registry.host}/old/legal:1.0.0", case.folder / "out")
        except modelpack_client.ModelPackError as error:
            assert "diff" in str(error).lower(), error
        else:
            raise AssertionError("modelpack-client reads old versions after all")


def oras_pulls(case):
    import oras.client
    with DockerRegistry(case.folder) as registry:
        _, organ = pushed(case, registry)
        oras.client.OrasClient(insecure=True).pull(
            target=f"{registry.host}/organs/contracts:1.0.0", outdir=str(case.folder / "out"))
        equal_files(case.folder / "out", organ)


if __name__ == "__main__":
    peers.enter("modelpack_client", "oras")
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            del os.environ[name]
    sys.exit(run_cases([modelpack_client_pulls, modelpack_client_refuses_what_was_before, oras_pulls]))
