# SPDX-License-Identifier: Apache-2.0
"""Versions go through Debian's docker-registry and arrive as themselves.

    round_trip.py ORGAN_PROGRAM

Exits 77 without docker-registry.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from servers import Certificate, DockerRegistry, Site, digest_of, docker_config, make_model, run_cases

ORGAN = Path(sys.argv[1]).resolve()
NAME = "legal/contracts"


def two_sites(case):
    make_model(case.folder / "model")
    here = Site(ORGAN, case.folder, "here")
    published = here.publish(case.folder / "model", NAME, "1.0.0", "0:2")
    there = Site(ORGAN, case.folder, "there", here.public_key)
    return here, there, published


def whole_version(case):
    here, there, published = two_sites(case)
    with DockerRegistry(case.folder) as registry:
        target = registry.oci("organs/contracts")
        pushed = here.json("push", f"{NAME}:1.0.0", target)
        assert pushed["digest"] == published["digest"], pushed
        assert pushed["reference"] == target + ":1.0.0" and pushed["signatures"] == 1, pushed
        assert pushed["sent_bytes"] == pushed["bytes"] > 15e6 and not pushed["already_there"], pushed
        again = here.json("push", f"{NAME}:1.0.0", target)
        assert again["already_there"] and again["sent_bytes"] == 0, again
        pulled = there.json("pull", target + ":1.0.0", f"{NAME}:1.0.0")
        assert pulled["digest"] == published["digest"] and pulled["signed"], pulled
        assert not pulled["already_published"] and pulled["fetched_bytes"] > 15e6, pulled
        there.run("verify", "--all")
        there.run("verify", f"{NAME}:1.0.0")
        assert not (there.registry / "organ/partial").exists()
        assert there.state()[0] == here.state()[0], "the same objects on both sides"
        again = there.json("pull", f"{target}@{published['digest']}")
        assert again["already_published"] and again["fetched_bytes"] == 0, again


def what_another_version_has_is_not_moved_again(case):
    here, there, _ = two_sites(case)
    here.publish(case.folder / "model", NAME, "1.1.0", "0:1")
    here.publish(case.folder / "model", "legal/other", "2.0.0", "0:1")
    with DockerRegistry(case.folder) as registry:
        target = registry.oci("organs/contracts")
        here.run("push", f"{NAME}:1.0.0", target)
        pushed = here.json("push", f"{NAME}:1.1.0", target)
        assert pushed["sent_bytes"] < 1e5 < pushed["bytes"], pushed
        there.run("pull", target + ":1.0.0")
        assert there.json("pull", target + ":1.1.0")["fetched_bytes"] < 1e5
        mounted = here.json("push", "legal/other:2.0.0", registry.oci("organs/other"), "--mount-from",
                            "organs/contracts")
        assert mounted["sent_bytes"] < 1e5 < mounted["mounted_bytes"], mounted
        there.run("pull", registry.oci("organs/other:2.0.0"))
        there.run("verify", "--all")


def between_registries(case):
    """The version, its signatures and attestations go from one to the other; nothing stays here."""
    here, there, published = two_sites(case)
    here.publish(case.folder / "model", NAME, "1.1.0", "0:1")
    temporary = case.folder / "tmp"
    temporary.mkdir()
    with DockerRegistry(case.folder) as first, DockerRegistry(case.folder) as second:
        source, target = first.oci("organs/contracts"), second.oci("mirror/contracts")
        here.run("push", f"{NAME}:1.0.0", source)
        here.run("push", f"{NAME}:1.1.0", source)
        copied = here.json("copy", source + ":1.0.0", target, TMPDIR=str(temporary))
        assert copied["digest"] == published["digest"] and copied["signatures"] == 1, copied
        assert copied["reference"] == target + ":1.0.0" and copied["fetched_bytes"] > 15e6, copied
        assert copied["sent_bytes"] == copied["bytes"] > copied["fetched_bytes"], copied
        assert not list(temporary.iterdir())
        again = here.json("copy", source + ":1.0.0", target)
        assert again["already_there"] and again["fetched_bytes"] == again["sent_bytes"] == 0, again
        # What is there is not fetched.
        part = here.json("copy", source + ":1.1.0", target)
        assert part["fetched_bytes"] < 1e5 and part["sent_bytes"] < 1e5 < part["bytes"], part
        assert "names another version already" in here.run("copy", source + ":1.1.0", target + ":1.0.0", expect=1)
        mounted = here.json("copy", source + ":1.0.0", first.oci("organs/other:best"))
        assert mounted["fetched_bytes"] == 0 and mounted["mounted_bytes"] > 15e6, mounted
        pulled = there.json("pull", target + ":1.0.0", f"{NAME}:1.0.0")
        assert pulled["digest"] == published["digest"] and pulled["signed"], pulled
        there.run("pull", first.oci("organs/other:best"))
        there.run("verify", "--all")
        here.run("copy", source, target, expect=2)
        here.run("copy", source + ":7.0.0", target, expect=6)
        here.run("copy", source + ":1.0.0", f"{target}@{published['digest']}", expect=2)


def tags_keep_their_meaning(case):
    here, _, _ = two_sites(case)
    here.publish(case.folder / "model", NAME, "1.1.0", "0:1")
    with DockerRegistry(case.folder) as registry:
        target = registry.oci("organs/contracts:stable")
        here.run("push", f"{NAME}:1.0.0", target)
        assert "names another version already" in here.run("push", f"{NAME}:1.1.0", target, expect=1)
        here.run("push", f"{NAME}:1.1.0", target, "--replace-tag")
        assert "no such version" in here.run("pull", registry.oci("organs/contracts:none"), expect=6)
        assert "no such version" in here.run("pull", registry.oci("organs/none:1"), expect=6)
        text = here.run("pull", target, f"{NAME}:1.0.0", expect=5)
        assert "holds 'legal/contracts:1.1.0', not 'legal/contracts:1.0.0'" in text, text


def other_content_is_refused_before_it_is_fetched(case):
    here, there, _ = two_sites(case)
    make_model(case.folder / "other", seed=2)
    shutil.copy(here.folder / "key.key", there.folder / "key.key")
    there.publish(case.folder / "other", NAME, "1.0.0")
    before = there.state()
    with DockerRegistry(case.folder) as registry:
        here.run("push", NAME, registry.oci("organs/contracts"))
        text = there.run("pull", registry.oci("organs/contracts:1.0.0"), expect=1)
        assert "already published with other content" in text, text
    assert there.state() == before and not there.partial()


def who_does_not_trust_the_key_fetches_nothing(case):
    here, _, _ = two_sites(case)
    stranger = Site(ORGAN, case.folder, "stranger")
    before = stranger.state()
    with DockerRegistry(case.folder) as registry:
        here.run("push", NAME, registry.oci("organs/contracts"))
        text = stranger.run("pull", registry.oci("organs/contracts:1.0.0"), expect=5)
        assert "1 needed" in text, text
    assert stranger.state() == before and not (stranger.registry / "organ/partial").exists()


def manifest_alone_is_enough_to_check(case):
    here, there, published = two_sites(case)
    with DockerRegistry(case.folder) as registry:
        here.run("push", NAME, registry.oci("organs/contracts"))
        pulled = there.json("pull", registry.oci("organs/contracts:1.0.0"), "--manifest-only", "--out",
                            there.folder / "manifest")
        assert pulled["digest"] == published["digest"], pulled
        assert pulled["fetched_bytes"] < 100_000, pulled
        assert "--out" in there.run("pull", registry.oci("organs/contracts:1.0.0"), "--manifest-only",
                                    expect=2)
    assert sorted(p.name for p in (there.folder / "manifest").iterdir()) == ["model.sig", "organ.json"]
    checked = there.json("check", there.folder / "manifest", "--recipient", case.folder / "model")
    assert checked["level"] == "A", checked
    there.run("install", there.folder / "manifest", "--into", case.folder / "model", expect=6)


def attestations_go_with_it(case):
    """To another site with the version, with its manifest alone they are told, and strangers' count for nothing."""
    here, there, _ = two_sites(case)
    here.run("attest", f"{NAME}:1.0.0", "--type", "compatibility", "--recipient", case.folder / "model", "--key",
             here.folder / "key.key")
    stated = here.json("show", f"{NAME}:1.0.0")["attestations"]
    assert [one["trusted"] for one in stated] == [True], stated
    with DockerRegistry(case.folder) as registry:
        target = registry.oci("organs/contracts")
        pushed = here.json("push", f"{NAME}:1.0.0", target)
        assert (pushed["signatures"], pushed["attestations"]) == (1, 1), pushed
        alone = there.json("pull", target + ":1.0.0", "--manifest-only", "--out", there.folder / "manifest")
        assert (alone["signatures"], alone["attestations"]) == (1, 1), alone
        pulled = there.json("pull", target + ":1.0.0")
        assert (pulled["signatures"], pulled["attestations"]) == (1, 1), pulled
        assert there.json("show", f"{NAME}:1.0.0")["attestations"] == stated
        assert there.json("pull", target + ":1.0.0")["already_published"]
        assert there.json("show", f"{NAME}:1.0.0")["attestations"] == stated
    there.run("verify", "--all")
    assert there.state()[0] == here.state()[0], "the same objects on both sides"


def taken_down_is_moved_nowhere(case):
    here, there, _ = two_sites(case)
    with DockerRegistry(case.folder) as registry:
        target = registry.oci("organs/contracts")
        here.run("push", f"{NAME}:1.0.0", target)
        there.run("pull", target + ":1.0.0")
        for site in (here, there):
            site.run("takedown", f"{NAME}:1.0.0", "--reason", "a court said so")
        assert "because a court said so" in here.run("push", f"{NAME}:1.0.0", target, expect=5)
        assert "because a court said so" in there.run("pull", target + ":1.0.0", expect=5)
        assert not (there.registry / "organ/partial").exists(), "it was not even fetched"
        sizes = [path.stat().st_size for path in (there.registry / "blobs/sha256").iterdir()]
        assert max(sizes) < 1e5, "its weights are not here"
        there.run("fsck")


def over_tls(case):
    here, there, _ = two_sites(case)
    good, other = Certificate(case.folder / "good"), Certificate(case.folder / "other")
    with DockerRegistry(case.folder, certificate=good) as registry:
        target = registry.oci("organs/contracts")
        text = here.run("push", NAME, target, expect=5)
        assert "does not prove who it is" in text and "--ca" in text, text
        assert "does not prove" in here.run("push", NAME, target, "--ca", other.ca, expect=5)
        here.run("push", NAME, target, "--ca", good.ca)
        there.run("pull", target + ":1.0.0", SSL_CERT_FILE=str(good.ca))
        there.run("verify", "--all")
    wrong = Certificate(case.folder / "wrong", host="DNS:registry.example.org")
    with DockerRegistry(case.folder, certificate=wrong) as registry:
        text = here.run("push", NAME, registry.oci("a"), "--ca", wrong.ca, expect=5)
        assert "does not prove who it is" in text, text


def hashed(password):
    """What htpasswd -B would write; crypt of the C library knows bcrypt in Debian."""
    import crypt
    return crypt.crypt(password, "$2b$05$" + "abcdefghijklmnopqrstuu").replace("$2b$", "$2y$")


def with_a_password(case):
    here, there, _ = two_sites(case)
    with DockerRegistry(case.folder, users={"me": hashed("secret word")}) as registry:
        target = registry.oci("organs/contracts")
        text = here.run("push", NAME, target, expect=1)
        assert "answered 401" in text and "docker login" in text, text
        docker_config(here, {registry.host: ("me", "secret word")})
        here.run("push", NAME, target)
        docker_config(there, {registry.host: ("me", "wrong word")})
        assert "answered 401" in there.run("pull", target + ":1.0.0", expect=1)
        helper = there.folder / "bin" / "docker-credential-test"
        helper.parent.mkdir()
        answer = json.dumps({"ServerURL": registry.host, "Username": "me", "Secret": "secret word"})
        helper.write_text(f"#!/bin/sh\n[ $1 = get ] && grep -qx {registry.host} && echo '{answer}'\n")
        helper.chmod(0o755)
        path = f"{helper.parent}:{os.environ['PATH']}"
        config = there.folder / ".docker" / "config.json"
        for text in ({"credHelpers": {registry.host: "test"}}, {"credsStore": "test"},
                     {"auths": {registry.host: {}}, "credsStore": "test"}):
            config.write_text(json.dumps(text))
            there.run("pull", target + ":1.0.0", PATH=path)
        config.write_text(json.dumps({"credsStore": "missing"}))
        assert "docker-credential-missing" in there.run("pull", target + ":1.0.0", expect=6, PATH=path)
        config.write_text(json.dumps({"credsStore": "../bin/sh"}))
        assert "is no name" in there.run("pull", target + ":1.0.0", expect=4, PATH=path)


def killed_and_gone_on(case):
    """Killed at many moments: the registry is the old or the new one, and the last pull ends it."""
    here, _, published = two_sites(case)
    with DockerRegistry(case.folder) as registry:
        here.run("push", NAME, registry.oci("organs/contracts"))
        lost = 0
        for number in range(12):
            there = Site(ORGAN, case.folder, f"there-{number}", here.public_key)
            before = there.state()
            process = subprocess.Popen([ORGAN, "pull", registry.oci("organs/contracts:1.0.0"), "-q"],
                                       env=there.environment, stderr=subprocess.DEVNULL)
            time.sleep(0.01 + 0.015 * number)
            process.send_signal(signal.SIGKILL)
            if process.wait() == -signal.SIGKILL:
                lost += there.state() == before
            pulled = there.json("pull", registry.oci("organs/contracts:1.0.0"))
            assert pulled["digest"] == published["digest"]
            there.run("verify", "--all")
            assert not (there.registry / "organ/partial").exists()
        assert lost > 0, "never killed in time"


def what_was_handed_over(case):
    """A pull that was killed at its commit leaves files that are read-only, or objects by now: the first go on,
    the others are not written into."""
    here, there, published = two_sites(case)
    manifest = json.loads((here.registry / "blobs/sha256" / published["digest"].removeprefix("sha256:")).read_text())
    largest, other = sorted(manifest["layers"], key=lambda one: -one["size"])[:2]
    partial = there.registry / "organ/partial" / published["digest"].removeprefix("sha256:")
    partial.mkdir(parents=True)
    kept = partial / largest["digest"].removeprefix("sha256:")
    kept.write_bytes((here.registry / "blobs/sha256" / kept.name).read_bytes())
    kept.chmod(0o444)
    named = case.folder / "of somebody else"
    named.write_bytes(b"precious")
    os.link(named, partial / other["digest"].removeprefix("sha256:"))
    with DockerRegistry(case.folder) as registry:
        here.run("push", NAME, registry.oci("organs/contracts"))
        pulled = there.json("pull", registry.oci("organs/contracts:1.0.0"))
    assert pulled["digest"] == published["digest"] and pulled["kept_bytes"] == largest["size"], pulled
    assert named.read_bytes() == b"precious" and named.stat().st_nlink == 1
    assert not partial.exists()
    for path in (there.registry / "blobs/sha256").iterdir():
        assert path.stat().st_nlink == 1 and path.stat().st_mode & 0o777 == 0o444, path
    there.run("verify", "--all")


def interrupted(case):
    here, there, _ = two_sites(case)
    with DockerRegistry(case.folder) as registry:
        here.run("push", NAME, registry.oci("organs/contracts"))
        before = there.state()
        # Stopped, it cannot answer: the pull waits, and Ctrl-C ends it.
        registry.process.send_signal(signal.SIGSTOP)
        process = subprocess.Popen([ORGAN, "pull", registry.oci("organs/contracts:1.0.0")],
                                   env=there.environment, stderr=subprocess.PIPE, text=True)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        _, said = process.communicate(timeout=30)
        registry.process.send_signal(signal.SIGCONT)
        assert process.returncode == -signal.SIGINT and time.monotonic() - begun < 5, (process.returncode, said)
        assert there.state() == before
        there.run("pull", registry.oci("organs/contracts:1.0.0"))


def through_skopeo(case):
    if not shutil.which("skopeo"):
        print("        (skopeo is missing)")
        return
    here, there, published = two_sites(case)
    with DockerRegistry(case.folder) as registry:
        here.run("push", NAME, registry.oci("organs/contracts"))
        remote = f"docker://{registry.host}/organs/contracts:1.0.0"

        def skopeo(*words):
            return subprocess.run(["skopeo", *words], check=True, capture_output=True).stdout

        raw = skopeo("inspect", "--raw", "--tls-verify=false", remote)
        assert digest_of(raw) == published["digest"]
        skopeo("--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", remote,
               f"docker://{registry.host}/mirror/contracts:copied")
        # Signatures do not travel with skopeo: the version is what it was, unsigned.
        bare = Site(ORGAN, case.folder, "bare", here.public_key)
        assert "signed by 0 of the 1 trusted key" in bare.run("pull", registry.oci("mirror/contracts:copied"), expect=5)
        here.run("registry", "index")
        skopeo("--insecure-policy", "copy", "--dest-tls-verify=false",
               f"oci:{here.registry}:{NAME}:1.0.0", f"docker://{registry.host}/organs/contracts:skopeo")
        pulled = there.json("pull", registry.oci("organs/contracts:skopeo"))
        assert pulled["digest"] == published["digest"] and pulled["signatures"] == 1, pulled
        there.run("verify", "--all")


if __name__ == "__main__":

    sys.exit(run_cases([whole_version, what_another_version_has_is_not_moved_again, between_registries,
                        tags_keep_their_meaning, other_content_is_refused_before_it_is_fetched,
                        who_does_not_trust_the_key_fetches_nothing, manifest_alone_is_enough_to_check,
                        attestations_go_with_it, taken_down_is_moved_nowhere,
                        over_tls, with_a_password, killed_and_gone_on, what_was_handed_over, interrupted, through_skopeo]))
