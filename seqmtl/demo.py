"""A web page on this machine: type a text, see every layer of it. Needs the extra ``demo``.

    GET  /         the page, with nothing but a field for a text
    POST /         the page of the text in that field
    POST /api/tag  {"text": "Anna slept."} to what ``seqmtl predict --format json`` prints of it

Nothing is kept, nothing is loaded from elsewhere, and texts are tagged one after the other.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import parse_qs

import uvicorn
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from seqmtl.documents import Document, form_page, to_json_line
from seqmtl.errors import ConfigError
from seqmtl.tagger import Tagger

LONGEST = 20_000  # characters of a text
_LARGEST = 12 * LONGEST + 1024  # bytes of a request: a character takes up to 12 in a form, or escaped in JSON
_HEADERS = {"Content-Security-Policy": "frame-ancestors 'none'", "X-Content-Type-Options": "nosniff"}
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class _Wanted(BaseModel):
    """What ``/api/tag`` is sent."""

    model_config = ConfigDict(strict=True, extra="forbid")
    text: str


class _Pages:
    """What is answered, from one tagger."""

    def __init__(self, tagger: Tagger, *, title: str) -> None:
        self._tagger = tagger
        self._title = title
        self._one_at_a_time = asyncio.Lock()

    async def empty(self, _: Request) -> Response:
        """``GET /``."""
        return self._html(None)

    async def tagged(self, request: Request) -> Response:
        """``POST /``."""
        fields = parse_qs((await request.body()).decode("utf-8", errors="replace"), keep_blank_values=True)
        if "text" not in fields:
            raise HTTPException(400, "the form has no field 'text'")
        text = fields["text"][0].replace("\r\n", "\n")  # what a form makes of every line's end
        return self._html(await self._tag(text))

    async def json(self, request: Request) -> Response:
        """``POST /api/tag``."""
        try:
            wanted = _Wanted.model_validate_json(await request.body())
        except ValidationError as error:
            found = "; ".join(": ".join([*map(str, part["loc"]), part["msg"]]) for part in error.errors())
            raise HTTPException(400, f'{found}; send a JSON object such as {{"text": "Anna slept."}}') from None
        line = to_json_line(await self._tag(wanted.text))
        return Response(line + "\n", media_type="application/json", headers=_HEADERS)

    async def _tag(self, text: str) -> Document:
        if len(text) > LONGEST:
            raise _too_long()
        async with self._one_at_a_time:
            return await run_in_threadpool(self._tagger, text)

    def _html(self, document: Document | None) -> Response:
        page = form_page(document, word_layers=self._tagger.word_layers, title=self._title, longest=LONGEST)
        return HTMLResponse(page, headers=_HEADERS)


def demo_app(tagger: Tagger, *, title: str, for_all: bool = False) -> Starlette:
    """The pages as an ASGI application.

    Args:
        tagger: whose layers are shown.
        title: the heading.
        for_all: answer to any name; otherwise to names of this machine alone, so that no other site that is open in the
            same browser can read along by having its own name lead here.
    """
    pages = _Pages(tagger, title=title)
    routes = [
        Route("/", pages.empty, methods=["GET"]),
        Route("/", pages.tagged, methods=["POST"]),
        Route("/api/tag", pages.json, methods=["POST"]),
    ]
    names = ["*"] if for_all else list(_LOOPBACK)
    trusted = Middleware(TrustedHostMiddleware, allowed_hosts=names)
    return Starlette(routes=routes, middleware=[trusted], max_body_size=_LARGEST)


def serve_demo(model: str, *, host: str, port: int, device: str, announce: Callable[[str], None]) -> None:
    """Serve the pages of a checkpoint until somebody presses Ctrl-C.

    Args:
        model: folder of a run, or name of a model on the hub.
        host: address to listen at.
        port: the same; 0: any that is free.
        device: where the model runs.
        announce: is told the address of the page once it can be opened.

    Raises:
        ConfigError: when this machine cannot listen there, for example because another program does.
        CheckpointError: when the model is not to be had.
    """
    with _listen(host, port) as listener:  # before the model, which takes longer
        address, port, *_ = listener.getsockname()
        tagger = Tagger.from_pretrained(model, device=device)
        app = demo_app(tagger, title=model, for_all=not ip_address(address).is_loopback)
        announce(f"http://{f'[{address}]' if ':' in address else address}:{port}")
        config = uvicorn.Config(app, log_level="warning", lifespan="off", ws="none", timeout_graceful_shutdown=5)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(
            f"--host {host} --port {port}: cannot be listened at: {error.strerror}; "
            "choose another port (0: any that is free), or an address of this machine"
        ) from None


def _too_long() -> HTTPException:
    return HTTPException(
        413, f"the text is too long: at most {LONGEST:,} characters; `seqmtl predict` takes any length"
    )
