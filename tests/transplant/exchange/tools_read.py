# SPDX-License-Identifier: Apache-2.0
"""Other programs read the layouts that organ exports, and organ reads theirs.

    tools_read.py ORGAN_PROGRAM

skopeo copies an exported layout into a layout of its own, a folder and docker-registry; organ pulls it
from there under the same identity, modelpack-client of PyPI file for file. Exits 77 without skopeo,
docker-registry or the package.
"""
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "registry" / "remote"))
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import peers  # noqa: E402
from servers import DockerRegistry, Site, make_model  # noqa: E402

ORGAN = pathlib.Path(sys.argv[1]).resolve()
NAME, TAG = "legal/contracts", "legal/contracts:1.0.0"


def skopeo(*words):
    subprocess.run(["skopeo", "--insecure-policy", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def files(folder, without=()):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in without}


def main():
    peers.enter("modelpack_client")
    import modelpack_client
    if not shutil.which("skopeo"):
        peers.skip("skopeo is needed")
    with tempfile.TemporaryDirectory() as scratch:
        work = pathlib.Path(scratch)
        make_model(work / "model")
        site = Site(ORGAN, work, "here")
        site.publish(work / "model", NAME, "1.0.0", "0:2")
        organ = site.folder / "organ-1.0.0"
        exported = site.json("export", TAG, "--format", "modelpack", "--out", work / "oci")

        raw = subprocess.run(["skopeo", "inspect", "--raw", f"oci:{work}/oci:{TAG}"], check=True,
                             capture_output=True).stdout
        assert "sha256:" + hashlib.sha256(raw).hexdigest() == exported["digest"]
        skopeo("copy", f"oci:{work}/oci:{TAG}", f"oci:{work}/theirs:{TAG}")
        site.run("import", work / "theirs", "--out", work / "from theirs")
        assert files(work / "from theirs") == files(organ, without=("model.sig",))
        print("skopeo copies an exported layout, and its copy is imported")

        with DockerRegistry(work) as registry:
            there = f"{registry.host}/organs/contracts:1.0.0"
            skopeo("copy", "--dest-tls-verify=false", f"oci:{work}/oci:{TAG}", f"docker://{there}")
            pulled = site.json("pull", registry.oci("organs/contracts:1.0.0"), TAG)
            assert pulled["digest"] == exported["digest"], (pulled, exported)
            modelpack_client.ModelPackClient(insecure=True).pull(there, work / "client")
            assert files(work / "client") == files(organ, without=("model.sig",))
            print("modelpack-client pulls what skopeo pushed of it; organ knows its identity")

            site.run("push", TAG, registry.oci("organs/pushed"))
            skopeo("copy", "--src-tls-verify=false", f"docker://{registry.host}/organs/pushed:1.0.0",
                   f"oci:{work}/fetched:any")
            site.run("import", work / "fetched", "--tag", "any", "--out", work / "from fetched")
            assert files(work / "from fetched") == files(organ, without=("model.sig",))
            print("what skopeo fetches of a registry is imported")
        index = json.loads((work / "oci/index.json").read_text())
        assert len(index["manifests"]) == 2, index


if __name__ == "__main__":
    main()
