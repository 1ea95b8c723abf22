"""HTTP server of the playground: loopback only, protected by a token; stores and logs nothing it receives.

The page is static and holds nothing secret. Its requests need the token, which is in the address after `#` and so in
no request line. A page from elsewhere can neither guess it nor pass the checks of Host and Origin.
"""

from __future__ import annotations

import json
import secrets
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tokframe.errors import TokframeError
from tokframe.playground.bench import Bench

__all__ = ["MAX_BYTES", "Playground"]

#: Bytes of text that are accepted in one request.
MAX_BYTES = 1_000_000
MAX_DRAINED_BYTES = 16 * MAX_BYTES  # read of a text that is too long, so that the browser shows the answer
_ASSETS = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.css": ("app.css", "text/css; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class _RefusedError(Exception):
    """A request that gets a status and a message instead of an answer."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Playground(ThreadingHTTPServer):
    """Serves a bench at 127.0.0.1; port 0 selects a free one. Raises: OSError where the port is in use."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, bench: Bench, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.bench = bench
        self.token = secrets.token_urlsafe(16)

    @property
    def url(self) -> str:
        """The address to open, with the token."""
        return f"http://127.0.0.1:{self.server_port}/#{self.token}"

    @property
    def hosts(self) -> tuple[str, str]:
        """Values of Host that are accepted."""
        return f"127.0.0.1:{self.server_port}", f"localhost:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report nothing: a browser that disconnects is not an error, and no text may end up in a traceback."""


class _Handler(BaseHTTPRequestHandler):
    server: Playground
    protocol_version = "HTTP/1.1"
    server_version = "tokframe"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:  # the base class's name
        """Log nothing."""

    # -- answers --------------------------------------------------------------------------------------------

    def _get(self, path: str, query: dict[str, str]) -> tuple[str, bytes]:
        if path in _ASSETS:
            name, kind = _ASSETS[path]
            return kind, resources.files("tokframe.playground").joinpath("assets", name).read_bytes()
        self._check_token()
        if path == "/api/about":
            return _json({"tokenizers": self.server.bench.about(), "max_bytes": MAX_BYTES})
        if path == "/api/token":
            number = query.get("id", "")
            if not (number.isascii() and number.isdigit() and len(number) < 12):
                raise _RefusedError(HTTPStatus.BAD_REQUEST, "id must be a whole number")
            return _json(self.server.bench.token(query.get("name", ""), int(number)))
        raise _RefusedError(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _post(self, path: str, query: dict[str, str]) -> tuple[str, bytes]:
        data = self._body()
        self._check_token()
        if path != "/api/segment":
            raise _RefusedError(HTTPStatus.NOT_FOUND, "there is nothing here")
        return _json(self.server.bench.segment(query.get("name", ""), data))

    def _answer(self, method: Any) -> None:
        status, message = HTTPStatus.BAD_REQUEST, ""
        try:
            self._check_origin()
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            kind, body = method(parts.path, query)
            status = HTTPStatus.OK
        except _RefusedError as error:
            status, message = error.status, str(error)
        except TokframeError as error:
            message = str(error)
        except UnicodeDecodeError as error:
            message = f"the text is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}"
        except ValueError:  # a malformed address
            message = "malformed request"
        except OSError:
            raise  # the browser disconnected
        except Exception as error:  # of a plugin; its message may contain the text, so only its class is sent
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            message = f"the tokenizer failed with {type(error).__name__}; tokframe encode shows more"
        if message:
            kind, body = _json({"error": message})
        if status >= HTTPStatus.BAD_REQUEST:
            self.close_connection = True  # an unread body must not be read as the next request
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    # -- checks ---------------------------------------------------------------------------------------------

    def _check_origin(self) -> None:
        """Refuse requests of another site's page, or by a host name that resolves to this machine."""
        hosts = self.headers.get_all("Host") or [""]
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            raise _RefusedError(HTTPStatus.FORBIDDEN, f"open this page as {self.server.hosts[0]}")
        origin = self.headers.get("Origin")
        if origin is not None and origin.lower() not in [f"http://{host}" for host in self.server.hosts]:
            raise _RefusedError(HTTPStatus.FORBIDDEN, "requests from other pages are refused")
        # A followed link may open the page: that is "none" and a navigation.
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and (
            self.headers.get("Sec-Fetch-Mode") != "navigate"
        ):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "requests from other pages are refused")

    def _check_token(self) -> None:
        given = self.headers.get("X-Tokframe-Token", "")
        if not secrets.compare_digest(given.encode(errors="replace"), self.server.token.encode()):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "open the address that tokframe playground has printed")

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not (length.isascii() and length.isdigit() and len(length) < 16):
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "send the text's length first (Content-Length)")
        size = int(length)
        if size > MAX_BYTES:
            left = min(size, MAX_DRAINED_BYTES)
            while left > 0 and (piece := self.rfile.read(min(left, 65536))):
                left -= len(piece)
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the text has {size:,} bytes; at most {MAX_BYTES:,} are accepted here. For more: tokframe encode",
            )
        data = self.rfile.read(size)
        if len(data) < size:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, f"expected {size:,} bytes, got {len(data):,}")
        return data


def _json(data: Any) -> tuple[str, bytes]:
    return "application/json; charset=utf-8", json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
