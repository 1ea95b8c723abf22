"""What SECURITY.md says of the playground, seen from the network: loopback and its own page alone, bounded input."""

from __future__ import annotations

import http.client
import socket

import pytest
from support.serving import raw, served

import tokframe
from tokframe.playground.server import MAX_BYTES


@pytest.fixture(scope="module")
def server():
    with served({"word": tokframe.load("word")}) as found:
        yield found


def works(server) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request("POST", "/api/segment?name=word", b"a text", {"X-Tokframe-Token": server.token})
    found = connection.getresponse()
    found.read()
    connection.close()
    return found.status == 200


def other_addresses() -> list[str]:
    """Return other addresses of this machine."""
    found = {"127.0.0.2"}
    try:
        found |= {entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    except OSError:
        pass
    return sorted(found - {"127.0.0.1"})


@pytest.mark.parametrize("address", other_addresses())
def test_no_other_address_of_this_machine_is_listened_on(server, address):
    with socket.socket() as connection:
        connection.settimeout(5)
        assert connection.connect_ex((address, server.server_port)) != 0


def test_there_is_no_option_to_listen_elsewhere():
    from tokframe.cli.playground import command

    names = {name for parameter in command.params for name in parameter.opts}
    assert not names & {"--host", "--bind", "--address", "--listen"}


def test_another_page_s_browser_is_given_no_leave_to_ask(server):
    """A browser asks before it sends a token from another page (CORS); there is no answer that would allow it."""
    found = raw(
        server,
        b"OPTIONS /api/segment?name=word HTTP/1.1\r\nHost: HOST\r\nOrigin: https://evil.example\r\n"
        b"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-tokframe-token\r\n\r\n",
    )
    assert found.startswith(b"HTTP/1.1 501 ") and b"access-control-allow" not in found.lower()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "HEAD"])
def test_other_methods_do_nothing(server, method):
    found = raw(server, f"{method} /api/about HTTP/1.1\r\nHost: HOST\r\n\r\n".encode())
    assert found.startswith(b"HTTP/1.1 501 ")


def test_what_is_sent_before_the_text_is_bounded(server):
    long_line = raw(server, b"GET /" + b"x" * (1 << 20) + b" HTTP/1.1\r\nHost: HOST\r\n\r\n")
    long_header = raw(server, b"GET / HTTP/1.1\r\nHost: HOST\r\nX: " + b"x" * (1 << 20) + b"\r\n\r\n")
    many = raw(server, b"GET / HTTP/1.1\r\nHost: HOST\r\n" + b"X: y\r\n" * 5000 + b"\r\n")
    for found, status in ((long_line, b" 414 "), (long_header, b" 431 "), (many, b" 431 ")):
        assert not found or status in found[:20], "refused, or hung up on"
    assert works(server)


def test_a_refused_text_is_not_taken_for_the_next_request(server):
    hidden = f"GET /api/about HTTP/1.1\r\nHost: HOST\r\nX-Tokframe-Token: {server.token}\r\n\r\n".encode()
    refused = raw(
        server, b"POST /api/segment HTTP/1.1\r\nHost: evil\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden
    )
    assert refused.count(b"HTTP/1.1 ") == 1 and b" 403 " in refused[:20]


def test_a_length_beyond_all_bounds_is_refused_at_once(server):
    found = raw(server, b"POST /api/segment HTTP/1.1\r\nHost: HOST\r\nContent-Length: 999999999999999\r\n\r\nabc")
    assert found.startswith(b"HTTP/1.1 413 ") and b"at most" in found
    assert MAX_BYTES <= 1 << 20


@pytest.mark.slow
def test_those_who_say_nothing_keep_nobody_waiting(server):
    idle = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(50)]
    try:
        idle[0].sendall(b"POST /api/seg")
        assert works(server)
    finally:
        for connection in idle:
            connection.close()
