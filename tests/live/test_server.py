"""The live server from outside: who is let in, and what it survives."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

pytest.importorskip("websockets")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.live.serving import served
from tinyse.enhance.pcm import FRAME_BYTES, bytes_of
from tinyse.errors import InputError, MissingExtra
from tinyse.live import LiveServer, server
from tinyse.live.messages import HEADER, MOST_BYTES
from tinyse.live.server import AHEAD_S, COSTS_S, GONE_S, PAGE, REFUSED, REPLACED, Allowance

FRAME = bytes_of(np.linspace(-0.5, 0.5, 256))
CHOOSE = '{"type": "choose", "model": "small", "runtime": "oracle"}'


@pytest.fixture(scope="module")
def address(offers) -> Iterator[str]:
    with served(offers) as found:
        yield found


def get(address: str, path: str | None = None, method: str = "GET", **headers: str):
    """Status, headers and body of a request; `path` replaces that of the address."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(method, parts.path if path is None else path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def opened(address: str, origin: str | None = "own", **options) -> ClientConnection:
    parts = urlsplit(address)
    if origin == "own":
        origin = f"http://{parts.netloc}"
    url = f"ws://{parts.netloc}{parts.path}socket"
    return connect(url, origin=origin, compression=None, close_timeout=2, **options)


def works(address: str) -> bool:
    """Whether a page is greeted and its frame enhanced."""
    with opened(address) as page:
        assert json.loads(page.recv(10))["type"] == "hello"
        page.send(CHOOSE)
        assert json.loads(page.recv(10))["type"] == "chosen"
        page.send(FRAME)
        return len(page.recv(10)) == HEADER.size + FRAME_BYTES


def test_the_page_and_its_files_are_served(address) -> None:
    for name, (_, kind) in PAGE.items():
        status, headers, body = get(address + name)
        assert (status, headers["Content-Type"]) == (200, kind)
        assert int(headers["Content-Length"]) == len(body) > 100
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert works(address)


def test_only_loopback_listens(address) -> None:
    assert urlsplit(address).hostname == "127.0.0.1"
    others = {found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None)}
    for other in others - {"127.0.0.1", "127.0.1.1", "::1"}:
        with pytest.raises(OSError):
            socket.create_connection((other, urlsplit(address).port), timeout=1).close()


@pytest.mark.parametrize(
    "path",
    ["/", "", "/live.js", "/{wrong}/", "/{wrong}/live.js", "/{token}", "/{token}/server.py",
     "/{token}/../server.py", "/{token}/%2e%2e/server.py", "/{token}/page/live.js",
     "/{token}//live.js", "/{token}/live.js?x", "/{token}/messages.py", "//{token}/", "*",
     "/{token}/socket/"],
)  # fmt: skip
def test_nothing_else_is_served(address, path) -> None:
    token = urlsplit(address).path.strip("/")
    path = path.format(token=token, wrong=token[:-1] + ("A" if token[-1] != "A" else "B"))
    status, _, body = get(address, path or "/x")
    assert (status, body) == (404, b"not here\n")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "[::1]:{port}"]
)
def test_another_host_name_is_refused(address, host) -> None:
    status, _, _ = get(address, Host=host.format(port=urlsplit(address).port))
    assert status == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_only_get(address, method) -> None:
    assert get(address, method=method)[0] == 405


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "https://127.0.0.1:1"])
def test_another_origin_gets_no_socket(address, origin) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        opened(address, origin)
    if origin:
        assert get(address, Origin=origin)[0] == 404


def test_a_wrong_token_gets_no_socket(address) -> None:
    parts = urlsplit(address)
    wrong = parts._replace(path="/" + "A" * 32 + "/").geturl()
    with pytest.raises(InvalidStatus, match="404"):
        opened(wrong)


def test_every_server_has_a_token_of_its_own(offers) -> None:
    paths = {urlsplit(LiveServer(offers).address).path for _ in range(20)}
    assert len(paths) == 20 and all(len(path) >= 34 for path in paths)


@pytest.mark.parametrize(
    ("rubbish", "code"),
    [(b"", REFUSED), (bytes(FRAME_BYTES + 1), REFUSED), ("", REFUSED), ("[]", REFUSED),
     ('{"type": "open", "path": "/etc/passwd"}', REFUSED), ('{"type": "start", "x": 1}', REFUSED),
     ("[" * 3000, REFUSED), (bytes(MOST_BYTES + 1), 1009)],
)  # fmt: skip
def test_rubbish_ends_its_connection_and_no_other(address, rubbish, code) -> None:
    with opened(address) as page:
        page.recv(10)
        page.send(rubbish)
        with pytest.raises(ConnectionClosed) as closed:
            page.recv(10)
    assert closed.value.rcvd.code == code
    assert works(address)


@pytest.mark.parametrize(
    "data",
    [b"\x00" * 100, b"GET / HTTP/1.1\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01 tls", b"A" * 100_000,
     b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000, "GET /é HTTP/1.1\r\n\r\n".encode()],
)  # fmt: skip
def test_what_is_no_http_is_survived_in_silence(address, data, capfd) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(address).port), timeout=5) as raw:
        try:
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(4096):
                pass
        except OSError:
            pass  # it may hang up before all is sent
    assert works(address)
    assert capfd.readouterr().err == ""


def test_a_client_that_vanishes_is_survived(address) -> None:
    with opened(address) as page:
        page.recv(10)
        page.send(CHOOSE)
        page.send(FRAME)
        at_once = struct.pack("ii", 1, 0)
        page.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        page.socket.close()  # a reset, and no word of farewell
        assert works(address)


def test_a_newer_page_takes_over(address) -> None:
    with opened(address) as older:
        older.recv(10)
        assert works(address)
        with pytest.raises(ConnectionClosed) as closed:
            older.recv(10)
    assert closed.value.rcvd.code == REPLACED


def test_a_flood_is_survived(address) -> None:
    """What is not read stays in the flooder's own socket, and a newer page is served at once."""
    ended = threading.Event()

    def flood() -> None:
        with contextlib.suppress(OSError):
            for _ in range(200_000):  # 100 MB, if anyone took them
                page.socket.sendall(b"\x82\xfe\x02\x00" + bytes(4) + FRAME)  # no mask to speak of
        ended.set()

    with opened(address, ping_interval=None) as page:
        page.recv(10)
        thread = threading.Thread(target=flood)
        thread.start()
        assert not ended.wait(1.5)
        assert works(address)
        thread.join(30)
        assert ended.is_set()


def blocked(page: ClientConnection, seconds: float = 0.5) -> None:
    """Sends, and reads nothing, until the server has not read for so long either."""
    page.socket.settimeout(seconds)
    with contextlib.suppress(TimeoutError):
        while True:
            page.socket.sendall(b"\x82\xfe\x02\x00" + bytes(4) + FRAME)


@contextlib.contextmanager
def silent(address: str) -> Iterator[ClientConnection]:
    """A page that reads little more than the greeting, and whose system keeps little for it."""
    parts = urlsplit(address)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((parts.hostname, parts.port))
    with opened(address, sock=raw, max_queue=1, ping_interval=None) as page:
        page.recv(10)
        yield page


def test_a_page_that_reads_nothing_holds_up_no_other_and_no_end(offers, monkeypatch) -> None:
    monkeypatch.setattr(server, "AHEAD_S", 1e9)  # or the test would take as long as its sound
    monkeypatch.setattr(server, "GONE_S", 60)  # no ping comes to help
    with contextlib.ExitStack() as pages:
        with served(offers) as address:
            blocked(pages.enter_context(silent(address)))
            assert works(address)
            blocked(pages.enter_context(silent(address)))
            began = time.monotonic()
        assert time.monotonic() - began < 20


def test_a_page_that_reads_nothing_is_forgotten(offers, monkeypatch) -> None:
    monkeypatch.setattr(server, "AHEAD_S", 1e9)
    with served(offers) as address, silent(address) as page:
        monkeypatch.setattr(server, "GONE_S", 0.2)
        with pytest.raises(ConnectionError):
            blocked(page, 30)


def test_a_page_that_vanishes_is_forgotten_after_ten_seconds(offers, monkeypatch) -> None:
    """As live.js tells it: the ping, and as long again for its answer."""
    assert 2 * GONE_S == 10
    monkeypatch.setattr(server, "GONE_S", 0.1)
    with served(offers) as address:
        parts, received = urlsplit(address), b""
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as vanished:
            asked = {"Host": parts.netloc, "Origin": f"http://{parts.netloc}",
                     "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                     "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}  # fmt: skip
            lines = [f"GET {parts.path}socket HTTP/1.1", *map(": ".join, asked.items()), "", ""]
            vanished.sendall("\r\n".join(lines).encode())
            while data := vanished.recv(4096):
                received += data
    assert b"ping timeout" in received
    assert "/ping timeout/" in (Path(server.__file__).parent / "page" / "live.js").read_text()


def test_a_page_may_run_two_seconds_ahead_and_no_more() -> None:
    now = [100.0]
    allowance = Allowance(lambda: now[0])
    for message in (FRAME, CHOOSE):
        cost_s = COSTS_S[type(message)]
        for _ in range(2):
            at_once = int(AHEAD_S / cost_s)
            assert [allowance.wait_s(message) for _ in range(at_once)] == [0.0] * at_once
            waits = []
            for _ in range(50):
                waits.append(allowance.wait_s(message))
                now[0] += waits[-1]
            assert sum(waits) == pytest.approx((50 + at_once) * cost_s - AHEAD_S)
            now[0] += 3600  # an idle hour is no credit


def test_switches_and_a_fast_sound_card_cost_a_steady_sound_nothing() -> None:
    """A page that keeps real time is never held up, however long and however often it chooses."""
    now = [100.0]
    allowance, waits = Allowance(lambda: now[0]), []
    for frame in range(225_000):  # an hour
        now[0] += 0.016 * (1 - 100e-6)
        waits.append(allowance.wait_s(FRAME))
        if frame % 50 == 0 and frame < 20 * 50:
            waits.append(allowance.wait_s(CHOOSE))
        if frame % 10_000 == 0:
            now[0] += 1  # a pause of ours; what came in it comes at once
            waits += [allowance.wait_s(FRAME) for _ in range(62)]
    assert set(waits) == {0.0}


def test_a_port_that_is_taken_is_said(address, offers) -> None:
    with pytest.raises(InputError, match="cannot be listened on"):
        asyncio.run(LiveServer(offers, urlsplit(address).port).__aenter__())


def test_without_websockets_the_extra_is_named(offers, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets.asyncio.server", None)
    with pytest.raises(MissingExtra, match=r"tinyse\[live\]"):
        asyncio.run(LiveServer(offers).__aenter__())
