"""The page's files and its socket, on the loopback interface; who may have them.

Any page in any tab can reach a port of this machine.  So the address holds a random token, a
request must name this host (which stops DNS rebinding) and a socket must come from our own page's
origin.  Only the files of PAGE are served, read once at the start.

One page at a time is heard: a newer one takes over, so that a reload never waits for a page that
vanished.  A page may run two seconds ahead of the clock; what it sends faster stays unread in its
socket, so a flood fills no memory and takes little more of the processor than a frame each 16 ms.
A page that reads nothing holds up neither the next one nor the end: its connection is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tinyse.errors import InputError, MissingExtra
from tinyse.live.messages import MOST_BYTES, BadMessage
from tinyse.live.offers import Offers
from tinyse.live.session import FRAME_MS, Session

if TYPE_CHECKING:
    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request, Response

HOST = "127.0.0.1"
PAGE = {
    "": ("index.html", "text/html; charset=utf-8"),
    "live.css": ("live.css", "text/css; charset=utf-8"),
    "live.js": ("live.js", "text/javascript; charset=utf-8"),
    "spectrogram.js": ("spectrogram.js", "text/javascript; charset=utf-8"),
    "worklet.js": ("worklet.js", "text/javascript; charset=utf-8"),
}
SOCKET = "socket"
AHEAD_S = 2.0
# What a message takes of the allowance of its kind.  A frame takes less than it lasts: the page's
# sound card has a clock of its own, and what a pause of ours has piled up must drain again.
COSTS_S = {bytes: 0.95 * FRAME_MS / 1000, str: 0.25}  # a request may open a model
GONE_S = 5.0  # a page that answers no ping for so long, or reads nothing, has vanished
CLOSE_S = 1.0  # a farewell takes no longer
REPLACED, REFUSED = 4001, 1008  # close codes: ours, and RFC 6455's for a broken rule
LEAVING = 1001  # RFC 6455's of a server that ends
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class LiveServer:
    """`async with LiveServer(offers) as live:` serves at `live.address` until it is left."""

    def __init__(
        self, offers: Offers, port: int = 0, notices: Callable[[str], None] | None = None
    ) -> None:
        self._offers, self._port, self._notices = offers, port, notices
        self._token = secrets.token_urlsafe(24)
        here = Path(__file__).parent / "page"
        self._files = {
            name: ((here / file).read_bytes(), kind) for name, (file, kind) in PAGE.items()
        }
        self._page: ServerConnection | None = None
        self._turn = asyncio.Lock()
        self._worker = ThreadPoolExecutor(1, "tinyse-live")  # streams are not shared by threads
        self._server: Server | None = None

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self._port}/{self._token}/"

    async def __aenter__(self) -> LiveServer:
        try:
            from websockets.asyncio.server import serve
        except ModuleNotFoundError as error:
            raise MissingExtra("websockets", "live") from error
        try:
            self._server = await serve(
                self._talk,
                HOST,
                self._port,
                process_request=self._request,
                compression=None,  # of noise nothing is saved, and a small bomb is a large message
                max_size=MOST_BYTES,
                ping_interval=GONE_S,
                ping_timeout=GONE_S,
                close_timeout=CLOSE_S,
                server_header=None,
                logger=_logger(),
            )
        except OSError as error:
            what = f"cannot be listened on ({error.strerror or error})"
            raise InputError(what, f"port {self._port}", "leave --port out") from error
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        if self._page is not None:
            await _end(self._page, LEAVING)
        await self._server.wait_closed()
        self._worker.shutdown(cancel_futures=True)

    def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to an HTTP request; None lets the socket open."""
        hosts = {f"{name}:{self._port}" for name in (HOST, "localhost")}
        if request.headers.get_all("Host") not in [[host] for host in hosts]:
            return connection.respond(421, "not a name of this server\n")
        if request.method != "GET":
            return connection.respond(405, "only GET\n")
        _, token, *rest = [*request.path.split("/", 2), ""]
        name = rest[0] if len(rest) > 1 else None
        if name is None or not secrets.compare_digest(token.encode(), self._token.encode()):
            return connection.respond(404, "not here\n")
        origins = request.headers.get_all("Origin")
        own = [[f"http://{host}"] for host in hosts]
        if name == SOCKET:
            if origins not in own:
                return connection.respond(403, "not for other pages\n")
            return None
        if name not in self._files or (origins and origins not in own):
            return connection.respond(404, "not here\n")
        return self._file(connection, name, request.headers["Host"])

    def _file(self, connection: ServerConnection, name: str, host: str) -> Response:
        data, kind = self._files[name]
        response = connection.respond(200, "")
        response.body = data
        for header in ("Content-Type", "Content-Length"):
            del response.headers[header]
        response.headers.update({"Content-Type": kind, "Content-Length": str(len(data)), **SAFE})
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:;"
            f" connect-src ws://{host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return response

    async def _talk(self, page: ServerConnection) -> None:
        """One page from its hello to its end."""
        from websockets.exceptions import ConnectionClosed

        older, self._page = self._page, page
        if older is not None:
            await _end(older, REPLACED, "another page has taken over")
        async with self._turn:
            with contextlib.suppress(ConnectionClosed):
                try:
                    await self._answer(page)
                except BadMessage as error:
                    await _end(page, REFUSED, str(error).encode()[:120].decode(errors="ignore"))
        if self._page is page:
            self._page = None

    async def _answer(self, page: ServerConnection) -> None:
        loop = asyncio.get_running_loop()
        session = Session(self._offers, self._notices)
        allowance = Allowance(loop.time)
        await _say(page, session.hello())
        async for message in page:
            await asyncio.sleep(allowance.wait_s(message))
            answer = await loop.run_in_executor(self._worker, session.answer, message)
            if answer is not None:
                await _say(page, answer)


async def _say(page: ServerConnection, answer: bytes | str) -> None:
    """Sends it; a page that makes no room for it in time is cut off, and its messages end."""
    try:
        async with asyncio.timeout(GONE_S):
            await page.send(answer)
    except TimeoutError:
        page.transport.abort()


async def _end(page: ServerConnection, code: int, reason: str = "") -> None:
    """Closes its connection, without a farewell where the page takes none."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await page.close(code, reason)
    except TimeoutError:
        page.transport.abort()


class Allowance:
    """How far ahead of the clock a page may run, with its frames and with its requests."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        # When what was taken so far of each kind would have been sent in real time.
        self._due: dict[type, float] = dict.fromkeys(COSTS_S, now())

    def wait_s(self, message: bytes | str) -> float:
        """Seconds to wait before the message is taken."""
        kind, now = type(message), self._now()
        self._due[kind] = max(self._due[kind], now) + COSTS_S[kind]
        return max(0.0, self._due[kind] - now - AHEAD_S)


def _logger() -> logging.Logger:
    """Shows bugs of ours, and not what strangers send to the port."""
    logger = logging.getLogger("tinyse.live")
    logger.setLevel(logging.ERROR)
    logger.addFilter(_of_ours)
    return logger


def _of_ours(record: logging.LogRecord) -> bool:
    return "opening handshake failed" not in record.getMessage()
