# SPDX-License-Identifier: Apache-2.0
"""What a registry can send to whoever pulls from it, each with its name, its exit code and nothing left
behind.

    hostile.py ORGAN_PROGRAM
"""
import http.server
import json
import subprocess
import sys
import threading
import time

from pulls import FAST, NAME, ORGAN, PIECE, about, blob_path, cut_at, endless, flipped, largest, pulled, refused, sites
from servers import BUNDLE, OCI_INDEX, OCI_MANIFEST, Server, Site, digest_of, make_model, run_cases


def kept(site, digest):
    return sum(path.stat().st_size for path in site.partial() if path.name in digest)


def honest(case):
    here, there = sites(case)
    with Server(here.registry) as server:
        result = pulled(there, server)
        assert result["fetched_bytes"] > PIECE and result["signatures"] == 1, result


def endless_data(case):
    here, there = sites(case)
    with Server(here.registry, (".*/manifests/.*", endless)) as server:
        refused(there, server, 4, "sends more than the 4194304 bytes")
        server.hooks[:] = [(blob_path(largest(server)), endless)]
        refused(there, server, 4, "other bytes than organ.json names")
        small = [d for d in server.served.blobs if len(server.served.blobs[d]) < PIECE]
        server.hooks[:] = [(blob_path(digest), endless) for digest in small]
        refused(there, server, 4, "sends more than")


def true_bytes_and_more(case):
    here, there = sites(case)
    with Server(here.registry) as server:
        digest = largest(server)
        whole = server.served.blobs[digest]
        server.hooks.append((blob_path(digest), lambda handler, _: handler.answer(200, whole + b"x") or True))
        refused(there, server, 4, "sends more than")


def huge_manifest(case):
    here, there = sites(case)
    with Server(here.registry, (".*/manifests/.*", lambda h, _: h.answer(200, b" " * (5 << 20)) or True)) \
            as server:
        refused(there, server, 4, "sends more than the 4194304 bytes")


def wrong_bytes(case):
    here, there = sites(case)
    with Server(here.registry) as server:
        digest = largest(server)
        good = server.served.blobs[digest]
        server.served.blobs[digest] = flipped(good, 10)
        refused(there, server, 4, "from byte 0 on")
        asked = [r for r in server.requests if digest in r[1]]
        assert len(asked) == 2, asked
        server.served.blobs[digest] = flipped(good, PIECE + 10)
        refused(there, server, 4, f"from byte {PIECE} on")
        assert kept(there, digest) == PIECE
        server.served.blobs[digest] = good
        result = pulled(there, server)
        assert about(result["kept_bytes"], PIECE) and about(result["fetched_bytes"], len(good) - PIECE), result


def wrong_once(case):
    """Only the piece that came wrong is asked for again."""
    here, there = sites(case)
    with Server(here.registry) as server:
        digest = largest(server)
        good = server.served.blobs[digest]
        bad = [flipped(good, PIECE + 10)]

        def hook(handler, _):
            return bad and (handler.answer(200, bad.pop()) or True)

        server.hooks.append((blob_path(digest), hook))
        result = pulled(there, server)
        ranges = [r[2].get("Range") for r in server.requests if digest in r[1]]
        assert ranges == [None, f"bytes={PIECE}-{len(good) - 1}"], ranges
        assert about(result["fetched_bytes"], len(good) + len(good) - PIECE), result


def changed_before_it_has_its_name(case):
    """A file that is whole waits for the others; whoever writes it meanwhile is found out."""
    make_model(case.folder / "model", layers=2)
    here = Site(ORGAN, case.folder, "here")
    here.publish(case.folder / "model", NAME, "1.0.0", "0:2")
    there = Site(ORGAN, case.folder, "there", here.public_key)
    with Server(here.registry) as server:
        blobs = server.served.blobs
        first, second = sorted((one for one in blobs if len(blobs[one]) > PIECE))
        arrived = threading.Event()
        server.hooks.append((blob_path(second), lambda *_: arrived.wait(60) and False))
        with subprocess.Popen([ORGAN, "pull", server.oci("a/b:1.0.0")], env=there.environment, text=True,
                              cwd=there.folder, stderr=subprocess.PIPE) as pull:
            while not any(path.name in first and path.stat().st_size == len(blobs[first])
                          for path in there.partial()):
                assert pull.poll() is None, pull.stderr.read()
                time.sleep(0.05)
            time.sleep(1)  # it is looked at and made durable
            file = next(path for path in there.partial() if path.name in first)
            with open(file, "r+b") as partial:
                partial.seek(PIECE)
                partial.write(b"other bytes")
            arrived.set()
            errors = pull.communicate(timeout=60)[1]
        assert pull.returncode == 4, (pull.returncode, errors)
        there.run("verify", "--all", expect=6)  # nothing is published
        pulled(there, server)


def wrong_small_objects(case):
    here, there = sites(case)
    with Server(here.registry) as server:
        served = server.served
        manifest = json.loads(served.blobs[served.tags["1.0.0"]])
        organ_json = manifest["layers"][0]["digest"]
        good = served.blobs[organ_json]
        served.blobs[organ_json] = flipped(good, 5)
        refused(there, server, 4, "the registry sends bytes with digest")
        served.blobs[organ_json] = good
        other = json.dumps(manifest | {"annotations": {"a": "b"}}).encode()
        digest = served.tags["1.0.0"]
        # At the digest that was asked for lies something else.
        server.hooks.append((".*/manifests/sha256:.*", lambda h, _: h.answer(200, other, OCI_MANIFEST) or True))
        said = there.run("pull", server.oci(f"a/b@{digest}"), *FAST, expect=4)
        assert "the registry sends one with digest" in said, said
        # Another program packed the same files: the identity would be another one here.
        server.hooks[:] = [(".*/manifests/1.0.0", lambda h, _: h.answer(200, other, OCI_MANIFEST) or True)]
        refused(there, server, 4, "is not the manifest that organ writes")
        server.hooks[:] = [(".*/manifests/1.0.0", lambda h, _: h.answer(
            200, served.blobs[digest], OCI_MANIFEST, Docker_Content_Digest=digest_of(b"")) or True)]
        refused(there, server, 4, "and the registry says sha256:e3b0c4")
        server.hooks[:] = [(".*/manifests/1.0.0", lambda h, _: h.answer(
            200, json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode(),
            OCI_INDEX) or True)]
        refused(there, server, 4, "mediaType")
        server.hooks[:] = [(".*/manifests/1.0.0", lambda h, _: h.answer(200, b"[" * 1000) or True)]
        refused(there, server, 4, "manifest")


def cut_connections(case):
    here, there = sites(case)
    with Server(here.registry) as server:
        digest = largest(server)
        size = len(server.served.blobs[digest])
        path = f"/v2/.+/blobs/({digest})"
        server.hooks.append((path, cut_at(0.9, always=True)))
        refused(there, server, 1, "the connection broke")
        assert kept(there, digest) == int(size * 0.9)
        server.hooks.clear()
        result = pulled(there, server)
        assert about(result["kept_bytes"], int(size * 0.9)), result
        assert result["fetched_bytes"] <= 0.105 * size, result


def cut_once_goes_on_by_itself(case):
    here, there = sites(case)
    with Server(here.registry) as server:
        digest = largest(server)
        server.hooks.append((f"/v2/.+/blobs/({digest})", cut_at(0.6)))
        assert about(pulled(there, server)["fetched_bytes"], len(server.served.blobs[digest]))


def kept_bytes_are_not_believed(case):
    here, there = sites(case)
    with Server(here.registry) as server:
        digest = largest(server)
        good = server.served.blobs[digest]
        server.hooks.append((f"/v2/.+/blobs/({digest})", cut_at(0.9, always=True)))
        refused(there, server, 1, "the connection broke")
        server.hooks.clear()
        partial = next(path for path in there.partial() if path.name in digest)
        for damaged in (flipped(good, 100)[:-500], good[:PIECE] + bytes(1000), good + b"more",
                        flipped(good[:PIECE + 50], PIECE + 5), b""):
            partial.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(damaged)
            pulled(there, server)
            there = Site(ORGAN, case.folder, f"there-{len(damaged)}", here.public_key)
            partial = there.registry / "organ/partial" / partial.parent.name / partial.name


def wrong_ranges(case):
    here, there = sites(case)
    with Server(here.registry) as server:
        digest = largest(server)
        good = server.served.blobs[digest]
        cut = cut_at(0.9)

        def lying(handler, match):
            if cut(handler, match):
                return True
            start = int(handler.headers["Range"][6:].split("-")[0])
            handler.answer(206, good[start - 7:], Content_Range=f"bytes {start - 7}-{len(good) - 1}/{len(good)}")
            return True

        server.hooks.append((f"/v2/.+/blobs/({digest})", lying))
        refused(there, server, 4, "the registry sends the range")
        server.hooks.clear()
        pulled(there, server)


def no_ranges(case):
    here, there = sites(case)
    with Server(here.registry) as server:
        digest = largest(server)
        good = server.served.blobs[digest]
        cut = cut_at(0.9)
        server.hooks.append((f"/v2/.+/blobs/({digest})",
                             lambda h, m: cut(h, m) or h.answer(200, good) or True))
        assert about(pulled(there, server)["fetched_bytes"], len(good) + int(len(good) * 0.9))


def crowds_of_signatures(case):
    here, there = sites(case)
    with Server(here.registry) as server:
        served = server.served
        digest = served.tags["1.0.0"]
        junk = []
        for number in range(200):
            text = json.dumps({"junk": number}).encode()
            served.blobs[digest_of(text)] = text
            junk.append({"mediaType": OCI_MANIFEST, "digest": digest_of(text), "size": len(text),
                         "artifactType": BUNDLE})
        served.referrers[digest] = junk + served.referrers[digest]
        result = pulled(there, server)
        assert result["signatures"] == 1, result
        third = Site(ORGAN, case.folder, "third", here.public_key)
        server.hooks.append((".*/referrers/.*", lambda h, _: h.answer(
            200, json.dumps({"manifests": []}).encode(), Link='<https://198.51.100.7/v2/x>; rel="next"') or True))
        refused(third, server, 5, "its next page is on another host")


def bundles_that_are_none(case):
    """Well attached, of the right type, and no signature: left out, and in nobody's way."""
    here, there = sites(case)
    with Server(here.registry) as server:
        served = server.served
        digest = served.tags["1.0.0"]
        good = json.loads(served.blobs[served.referrers[digest][0]["digest"]])
        crowd = []
        for number in range(70):
            junk = json.dumps({"junk": number}).encode()
            served.blobs[digest_of(junk)] = junk
            layer = good["layers"][0] | {"digest": digest_of(junk), "size": len(junk)}
            text = json.dumps(good | {"layers": [layer]}).encode()
            served.blobs[digest_of(text)] = text
            crowd.append({"mediaType": OCI_MANIFEST, "digest": digest_of(text), "size": len(text),
                          "artifactType": BUNDLE})
        served.referrers[digest] = crowd + served.referrers[digest]
        out = case.folder / "manifest"
        there.run("pull", server.oci("a/b:1.0.0"), "--manifest-only", "--out", out)
        assert "junk" not in (out / "model.sig").read_text()
        result = pulled(there, server)
        assert result["signatures"] == 1, result


def a_proxy_before_this_machine(case):
    """It would see what is said in plain HTTP, credentials too."""
    heard = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self):
            heard.append(self.requestline)
            self.send_error(403)
        do_GET = do_HEAD = do_CONNECT

        def log_message(self, *_):
            pass

    here, there = sites(case)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        with Server(here.registry) as server:
            pulled(there, server, "--proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
        proxy.shutdown()
    assert not heard, heard


def serve_forged(served, wrong, right):
    """The version as somebody would offer it whose organ.json names `wrong` for `right`: every document says
    so, and nobody has signed it."""
    manifest = served.blobs[served.tags["1.0.0"]].decode()
    config, organ_json = (json.loads(manifest)[key] for key in ("config", "layers"))
    names = {right: wrong}
    for old in (organ_json[0]["digest"], config["digest"], served.tags["1.0.0"]):
        text = served.blobs[old].decode()
        for known, forged in names.items():
            text = text.replace(known, forged)
        names[old] = digest_of(text.encode())
        served.blobs[names[old]] = text.encode()
    served.tags["1.0.0"] = names[old]


def changed(digest):
    return digest[:-1] + ("0" if digest[-1] != "0" else "1")


def an_organ_that_contradicts_itself(case):
    """Each piece is what organ.json says; the whole file, or a tensor, is not: seen before it is published."""
    here, _ = sites(case)
    there = Site(ORGAN, case.folder, "takes-all", here.public_key, rule=False)
    for what in ("file", "tensor"):
        with Server(here.registry) as server:
            served = server.served
            manifest = json.loads(served.blobs[served.tags["1.0.0"]])
            organ = json.loads(served.blobs[manifest["layers"][0]["digest"]])
            file = next(one for one in organ["files"] if one["role"] == "layer")
            right = file["digest"] if what == "file" else file["tensors"][1]["digest"]
            serve_forged(served, changed(right), right)
            if what == "file":
                served.blobs[changed(right)] = served.blobs[right]
            text = "every piece is right but the " + ("file's" if what == "file" else "tensor's")
            before = there.state()
            assert text in there.run("pull", server.oci("a/b:1.0.0"), *FAST, expect=4)
            assert there.state() == before and not there.partial()


if __name__ == "__main__":
    sys.exit(run_cases([
        honest,
        endless_data,
        true_bytes_and_more,
        huge_manifest,
        wrong_bytes,
        wrong_once,
        changed_before_it_has_its_name,
        wrong_small_objects,
        cut_connections,
        cut_once_goes_on_by_itself,
        kept_bytes_are_not_believed,
        wrong_ranges,
        no_ranges,
        crowds_of_signatures,
        bundles_that_are_none,
        a_proxy_before_this_machine,
        an_organ_that_contradicts_itself]))
