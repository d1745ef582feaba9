# SPDX-License-Identifier: Apache-2.0
"""What the HTTP of a registry can answer: redirects, realms, tokens, refusals for the moment, nothing.

    answers.py ORGAN_PROGRAM
"""
import base64
import json
import sys
import time

from pulls import FAST, NAME, ORGAN, blob_path, endless, largest, pulled, refused, sites
from servers import Server, Site, docker_config, run_cases


def endless_headers(case):
    here, there = sites(case)

    def hook(handler, _):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            handler.wfile.write(b"X-More: " + b"y" * 1000 + b"\r\n")

    with Server(here.registry, (".*/manifests/.*", hook)) as server:
        refused(there, server, 4, "more headers than")


def redirects(case):
    here, there = sites(case)
    docker = {}
    with Server(here.registry) as other, Server(here.registry) as server:
        def away(handler, match):
            handler.answer(307, Location=f"http://{other.host}{handler.path}")
            return True

        docker[server.host] = ("me", "secret")
        docker_config(there, docker)
        basic = "Basic " + base64.b64encode(b"me:secret").decode()

        def guarded(handler, _):
            if handler.headers.get("Authorization") == basic:
                return False
            handler.answer(401, WWW_Authenticate='Basic realm="x"')
            return True

        server.hooks[:] = [("/v2/.+", guarded), (".*/blobs/.*", away)]
        pulled(there, server)
        assert len(other.requests) >= 2, other.requests
        assert not [r for r in other.requests if "Authorization" in r[2]], "credentials went elsewhere"

        third = Site(ORGAN, case.folder, "third", here.public_key)
        server.hooks[:] = [(".*/blobs/.*", lambda h, _: h.answer(307, Location=h.path) or True)]
        refused(third, server, 1, "more than 5 in a row")
        for location, text in (("http://198.51.100.7/x", "plain http to another machine"),
                               ("file:///etc/passwd", "neither http nor https"),
                               ("ftp://127.0.0.1/x", "neither http nor https"),
                               ("http://me:word@127.0.0.1/x", "its port is no number"),
                               ("//127.0.0.1/x", "it has no scheme"), ("", "it has no scheme")):
            server.hooks[:] = [(".*/blobs/.*", lambda h, _, to=location: h.answer(302, Location=to) or True)]
            refused(third, server, 4 if text.startswith("it") else 5, text)


def challenge(handler, value):
    handler.answer(401, WWW_Authenticate=value)
    return True


def evil_realms(case):
    here, there = sites(case)
    with Server(here.registry) as server:
        docker_config(there, {server.host: ("me", "secret")})
        for realm, text, code in (
                ("http://198.51.100.7/token", "plain http to another machine", 5),
                ("https://token.example.org/", "wants its credentials sent to another host", 5),
                ("https://127.0.0.1.example.org/", "wants its credentials sent to another host", 5),
                ("file:///etc/passwd", "neither http nor https", 5),
                ("/token", "it has no scheme", 4),
                ("https://token.example.org@127.0.0.1/", "its host has other characters", 4)):
            value = f'Bearer realm="{realm}",service="s",scope="repository:other/secret:push"'
            server.hooks[:] = [("/v2/.+", lambda h, _, v=value: challenge(h, v))]
            refused(there, server, code, text)
        for token, text in (("a\\nX-Evil: b", "is not a word"), ("", "is not a word"), ("a b", "is not a word")):
            server.hooks[:] = [
                ("/token.*", lambda h, _, t=token: h.answer(200, b'{"token": "' + t.encode() + b'"}') or True),
                ("/v2/.+", lambda h, _: challenge(h, f'Bearer realm="http://{server.host}/token"'))]
            refused(there, server, 4, text)
        server.hooks[0] = ("/token.*", endless)
        refused(there, server, 4, "sends more than")
        server.hooks[0] = ("/token.*", lambda h, _: h.answer(200, b'{"token": "refused"}') or True)
        refused(there, server, 1, "answered 401")


def tokens(case):
    """The honest flow: a token for the scope that is needed, renewed when it no longer counts."""
    here, there = sites(case)
    good = {"token-1"}
    asked = []

    with Server(here.registry) as server:
        def token(handler, _):
            asked.append((handler.path, handler.headers.get("Authorization")))
            name = f"token-{len(asked)}"
            good.clear()
            good.add(name)
            handler.answer(200, json.dumps({"access_token": name}).encode())
            return True

        def guarded(handler, _):
            if handler.headers.get("Authorization", "").removeprefix("Bearer ") in good:
                if "/blobs/" in handler.path and len(asked) < 2:
                    good.clear()  # expired
                return False
            return challenge(handler, f'Basic realm="old", bearer Realm="http://{server.host}/token?x=1", '
                                      'service="a \\"service\\""')

        server.hooks[:] = [("/token.*", token), ("/v2/.+", guarded)]
        docker_config(there, {f"https://{server.host}/v1/": ("me", "secret")})
        pulled(there, server)
    assert len(asked) >= 2, asked
    assert asked[0] == ("/token?x=1&service=a%20%22service%22&scope=repository%3Aa%2Fb%3Apull",
                        "Basic " + base64.b64encode(b"me:secret").decode()), asked


def refresh_tokens(case):
    here, there = sites(case)
    forms = []
    with Server(here.registry) as server:
        def token(handler, _):
            forms.append((handler.command, handler.rfile.read(int(handler.headers["Content-Length"]))))
            handler.answer(200, b'{"access_token": "word"}')
            return True

        server.hooks[:] = [("/token", token), ("/v2/.+", lambda h, _: h.headers.get("Authorization") != "Bearer word"
                            and challenge(h, f'Bearer realm="http://{server.host}/token",service="s"'))]
        docker_config(there, {}, auths={server.host: {"identitytoken": "refresh/me"}})
        pulled(there, server)
    assert forms[0] == ("POST", b"service=s&scope=repository%3Aa%2Fb%3Apull&client_id=organ"
                                b"&grant_type=refresh_token&refresh_token=refresh%2Fme"), forms


def busy(case):
    here, there = sites(case)
    answers = [503, 429, 502]

    def hook(handler, _):
        if not answers:
            return False
        status = answers.pop()
        handler.answer(status, **({"Retry-After": 1} if status == 429 else {}))
        return True

    with Server(here.registry, (".*/manifests/1.0.0", hook)) as server:
        begun = time.monotonic()
        pulled(there, server)
        assert time.monotonic() - begun > 1.5 and not answers
        third = Site(ORGAN, case.folder, "third", here.public_key)
        server.hooks[:] = [(".*/blobs/.*", lambda h, _: h.answer(500, json.dumps(
            {"errors": [{"code": "UNKNOWN", "message": "no \x1b[31mluck"}]}).encode()) or True)]
        said = refused(third, server, 1, "answered 500: UNKNOWN: no")
        assert "\x1b" not in said, said
        server.hooks[:] = [(".*/blobs/.*", lambda h, _: h.answer(204) or True)]
        refused(third, server, 1, "answered 204")


def slow_loris(case):
    here, there = sites(case)

    def drip(handler, _):
        handler.send_response(200)
        handler.send_header("Content-Length", str(10_000_000))
        handler.end_headers()
        while True:
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.2)

    def silent(handler, _):
        time.sleep(60)
        return True

    for hook in (drip, silent):
        with Server(here.registry) as server:
            server.hooks.append((blob_path(largest(server)), hook))
            begun = time.monotonic()
            refused(there, server, 1, "the connection broke", "--stall", "1", "--retries", "0")
            took = time.monotonic() - begun
            assert took < 25, took  # on a busy machine; the server waits for a minute


def nobody_listens(case):
    here, there = sites(case)
    with Server(here.registry) as server:
        pass
    before = there.state()
    said = there.run("pull", server.oci("a/b:1.0.0"), "--retries", "0", expect=1)
    assert "is a registry listening there?" in said, said
    assert there.state() == before


def uploads_lead_nowhere_else(case):
    here, _ = sites(case)
    with Server(here.registry) as other, Server(here.registry) as server:
        server.served.blobs.clear()
        for location, text, code in ((f"http://{other.host}/v2/a/b/blobs/uploads/1", "leads to", 5),
                                     ("http://198.51.100.7/up", "plain http to another machine", 5),
                                     ("", "is missing", 4)):
            server.hooks[:] = [(".*/blobs/uploads/.*", lambda h, _, to=location: h.answer(
                202, **({"Location": to} if to else {})) or True)]
            said = here.run("push", NAME, server.oci("a/b"), *FAST, expect=code)
            assert text in said, said
        assert not other.requests, other.requests


if __name__ == "__main__":
    sys.exit(run_cases([
        endless_headers,
        redirects,
        evil_realms,
        tokens,
        refresh_tokens,
        busy,
        slow_loris,
        nobody_listens,
        uploads_lead_nowhere_else]))
