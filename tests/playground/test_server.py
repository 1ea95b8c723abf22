"""The playground over HTTP: what it answers, what it refuses, and that nothing of a text stays behind."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
from importlib import resources
from urllib.parse import quote

import pytest
from support.serving import raw, served
from toy_bytes.tokenizer import ToyTokenizer

from tokframe.cli.playground import command
from tokframe.playground.server import MAX_BYTES
from tokframe.storage.printable import printable


class FailingTokenizer(ToyTokenizer):
    def encode_raw(self, data):
        raise RuntimeError(f"I was given {data!r}")


@pytest.fixture(scope="module")
def server():
    with served({"toy": ToyTokenizer([b"the "]), "failing": FailingTokenizer()}) as found:
        yield found


@pytest.fixture
def ask(server):
    """Return a function that asks: `ask(path, body=None, **headers)` -> (status, headers, body)."""

    def call(path, body=None, method=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
        given = {"X-Tokframe-Token": server.token} | {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method or ("GET" if body is None else "POST"), path, body, given)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, answer.headers, data

    return call


def error_of(answer):
    return json.loads(answer[2])["error"]


def other_addresses():
    """Return other addresses of this machine."""
    found = {"127.0.0.2"}
    with contextlib.suppress(OSError):
        found |= {entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    return sorted(found - {"127.0.0.1"})


@pytest.mark.parametrize("address", other_addresses())
def test_it_listens_on_loopback_only(server, address):
    with socket.socket() as connection:
        connection.settimeout(5)
        assert connection.connect_ex((address, server.server_port)) != 0
    assert not {"--host", "--bind", "--address", "--listen"} & {name for p in command.params for name in p.opts}
    assert server.url == f"http://127.0.0.1:{server.server_port}/#{server.token}" and len(server.token) >= 20


@pytest.mark.parametrize(
    ("path", "kind"), [("/", "text/html"), ("/app.js", "text/javascript"), ("/app.css", "text/css")]
)
def test_the_page_needs_no_token_and_may_run_only_its_own_script(ask, server, path, kind):
    status, headers, body = ask(path, X_Tokframe_Token="")
    assert status == 200 and headers["Content-Type"].startswith(kind) and body
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in headers and "Python" not in headers["Server"]
    assert server.token.encode() not in body


def test_the_script_puts_text_on_the_page_as_text_only():
    assets = resources.files("tokframe.playground").joinpath("assets")
    script = assets.joinpath("app.js").read_text(encoding="utf-8")
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "localStorage", "Function("):
        assert way not in script
    page = assets.joinpath("index.html").read_text(encoding="utf-8")
    assert not re.search(r"\son\w+=|style=|https?://", page)


def test_the_page_shows_the_same_characters_as_escapes_as_a_terminal():
    script = resources.files("tokframe.playground").joinpath("assets", "app.js").read_text(encoding="utf-8")
    escaped = re.compile(re.search(r"UNSEEN = /(\[.*\])/g", script).group(1))
    seen = [chr(code) for code in (*range(0xD800), *range(0xE000, 0x10000))]  # a page never gets half a character
    assert [c for c in seen if escaped.match(c)] == [c for c in seen if printable(c) != c]


def test_a_tokenizer_whose_path_is_not_utf_8_is_on_the_page():
    with served({"./m\udcff": ToyTokenizer()}) as server:
        head = f"HTTP/1.1\r\nHost: HOST\r\nX-Tokframe-Token: {server.token}\r\nConnection: close\r\n"
        about = json.loads(raw(server, f"GET /api/about {head}\r\n".encode()).partition(b"\r\n\r\n")[2])
        (name,) = [each["name"] for each in about["tokenizers"]]
        request = f"POST /api/segment?name={quote(name)} {head}Content-Length: 2\r\n\r\nhi"
        found = json.loads(raw(server, request.encode()).partition(b"\r\n\r\n")[2])
    assert name == "./m\\udcff" and len(found["ids"]) == 2


def test_a_text_is_cut_up(ask):
    status, headers, body = ask("/api/segment?name=toy", "the é".encode())
    found = json.loads(body)
    assert status == 200 and headers["Content-Type"].startswith("application/json")
    assert found["ids"] == [260, 199, 173] and found["lengths"] == [4, 1, 1]


def test_about_and_tokens_are_answered(ask):
    about = json.loads(ask("/api/about")[2])
    assert [each["name"] for each in about["tokenizers"]] == ["toy", "failing"] and about["max_bytes"] == MAX_BYTES
    assert json.loads(ask("/api/token?name=toy&id=260")[2])["text"] == "the "


def test_several_texts_go_over_one_connection(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    for text in (b"one", b"", b"three"):
        connection.request("POST", "/api/segment?name=toy", text, {"X-Tokframe-Token": server.token})
        assert len(json.loads(connection.getresponse().read())["ids"]) == len(text)
    connection.close()


@pytest.mark.parametrize("path", ["/api/about", "/api/token?name=toy&id=4", "/api/segment?name=toy"])
@pytest.mark.parametrize("token", ["", "wrong", "\u00e9"])
def test_without_the_token_nothing_is_told(ask, path, token):
    answer = ask(path, b"text" if "segment" in path else None, X_Tokframe_Token=token)
    assert answer[0] == 403 and "open the address" in error_of(answer)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost", ""])
def test_another_host_name_is_refused_even_with_the_token(ask, host):
    for path in ("/", "/api/about"):
        assert ask(path, Host=host)[0] == 403


def test_localhost_is_this_host_too(ask, server):
    assert ask("/api/about", Host=f"localhost:{server.server_port}")[0] == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1"])
def test_another_origin_is_refused_even_with_the_token(ask, origin):
    assert ask("/api/segment?name=toy", b"x", Origin=origin)[0] == 403
    assert ask("/api/about", Origin=origin)[0] == 403


def test_the_page_s_own_requests_are_answered(ask, server):
    own = {"Origin": f"http://127.0.0.1:{server.server_port}", "Sec_Fetch_Site": "same-origin"}
    assert ask("/api/segment?name=toy", b"x", **own)[0] == 200
    assert ask("/api/segment?name=toy", b"x", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="cors")[0] == 403
    assert ask("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200, "a link may be followed"


def test_a_text_too_long_is_refused_with_the_limit(ask):
    assert ask("/api/segment?name=toy", b"the " * (MAX_BYTES // 4))[0] == 200
    answer = ask("/api/segment?name=toy", b"x" * (MAX_BYTES + 1))
    assert answer[0] == 413 and "1,000,001 bytes; at most 1,000,000" in error_of(answer)


def test_a_length_that_is_none_or_beyond_all_bounds_is_refused_at_once(server):
    for line in (b"", b"Content-Length: -5\r\n", b"Content-Length: x\r\n", b"Transfer-Encoding: chunked\r\n"):
        answer = raw(server, b"POST /api/segment HTTP/1.1\r\nHost: HOST\r\n" + line + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 411 ") and b"Connection: close" in answer
    short = raw(server, b"POST /api/segment HTTP/1.1\r\nHost: HOST\r\nContent-Length: 9\r\n\r\nabc")
    assert short.startswith(b"HTTP/1.1 400 ")
    long = raw(server, b"POST /api/segment HTTP/1.1\r\nHost: HOST\r\nContent-Length: 999999999999999\r\n\r\nabc")
    assert long.startswith(b"HTTP/1.1 413 ") and b"at most" in long and MAX_BYTES <= 1 << 20


def test_a_refused_text_is_not_taken_for_the_next_request(server):
    hidden = f"GET /api/about HTTP/1.1\r\nHost: HOST\r\nX-Tokframe-Token: {server.token}\r\n\r\n".encode()
    refused = raw(
        server, b"POST /api/segment HTTP/1.1\r\nHost: evil\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden
    )
    assert refused.count(b"HTTP/1.1 ") == 1 and b" 403 " in refused[:20]


def test_what_is_sent_before_the_text_is_bounded(server, ask):
    long_line = raw(server, b"GET /" + b"x" * (1 << 20) + b" HTTP/1.1\r\nHost: HOST\r\n\r\n")
    long_header = raw(server, b"GET / HTTP/1.1\r\nHost: HOST\r\nX: " + b"x" * (1 << 20) + b"\r\n\r\n")
    many = raw(server, b"GET / HTTP/1.1\r\nHost: HOST\r\n" + b"X: y\r\n" * 5000 + b"\r\n")
    for found, status in ((long_line, b" 414 "), (long_header, b" 431 "), (many, b" 431 ")):
        assert not found or status in found[:20], "refused, or hung up on"
    assert ask("/api/about")[0] == 200


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "HEAD"])
def test_other_methods_do_nothing(server, method):
    """A browser asks by OPTIONS before it sends a token from another page (CORS); no answer would allow it."""
    asked = b" /api/segment?name=toy HTTP/1.1\r\nHost: HOST\r\nOrigin: https://evil.example\r\n"
    asked += b"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-tokframe-token\r\n\r\n"
    found = raw(server, method.encode() + asked)
    assert found.startswith(b"HTTP/1.1 501 ") and b"access-control-allow" not in found.lower()


def test_two_hosts_are_refused(server):
    assert raw(server, b"GET / HTTP/1.1\r\nHost: HOST\r\nHost: evil\r\n\r\n").startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/api/segment?name=nope", b"x", "'nope' is not on this page; there are toy, failing"),
        ("/api/segment?name=toy", b"a\xff", "byte 1 is 0xff"),
        *((f"/api/token?name=toy&id={token}", None, "ids are 0 to 260") for token in (261, 999)),
        ("/api/token?name=toy&id=-1", None, "whole number"),
        ("/api/token?name=toy&id=\u0663", None, "whole number"),
    ],
)
def test_what_makes_no_sense_is_told(ask, path, body, said):
    answer = ask(path.encode().decode("latin-1") if path.isascii() else path.replace("\u0663", "%D9%A3"), body)
    assert answer[0] == 400 and said in error_of(answer)


@pytest.mark.parametrize("path", ["/../server.py", "/server.py", "/assets/app.js", "/api/", "//evil/", "/api/segment"])
def test_there_is_nothing_else(ask, path):
    assert ask(path)[0] == 404
    assert ask("/api/token", b"x")[0] == 404


def test_a_failing_tokenizer_neither_stops_it_nor_repeats_the_text(ask, capfd):
    answer = ask("/api/segment?name=failing", b"my secret")
    assert answer[0] == 500 and "RuntimeError" in error_of(answer) and b"secret" not in answer[2]
    assert ask("/api/segment?name=toy", b"still here")[0] == 200
    assert capfd.readouterr() == ("", ""), "nothing of a request is logged"


def test_a_browser_that_hangs_up_stops_nothing(server, ask, capfd):
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
            connection.sendall(b"POST /api/segment?name=toy HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
    assert ask("/api/about")[0] == 200
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_idle_connections_keep_nobody_waiting(server, ask):
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", server.server_port)
        idle = [stack.enter_context(socket.create_connection(address)) for _ in range(50)]
        idle[0].sendall(b"POST /api/seg")
        assert ask("/api/about")[0] == 200
