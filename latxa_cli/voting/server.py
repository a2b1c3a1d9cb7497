"""The web server of a poll: its addresses, what each sends, and its limits.

    GET  /         the page          GET  /vote.css, /vote.js
    GET  /ballot   the next pair, as JSON
    POST /votes    a vote; the answer comes when it is on the disk
    POST /messages a message to the two models of a live poll; the answer has both of theirs
    GET  /code     the code by which a voter's votes can be withdrawn, which POST /withdrawal does
    GET  /table    which models a voter preferred, where the organiser allows it

    GET  /organiser/TOKEN   the organiser's page

Texts of models and voters leave as JSON alone, and the page shows them as text. Names of models stand on the
organiser's page, and in that table.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import orjson
from aiohttp import web

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import JsonObject, Record
from latxa_cli.voting.ballots import Ballot, is_cookie, new_cookie
from latxa_cli.voting.limits import TooFastError
from latxa_cli.voting.live import LONGEST_MESSAGE, BadMessageError, LiveBallots, NoAnswerError
from latxa_cli.voting.organiser import organiser_page
from latxa_cli.voting.page import Page
from latxa_cli.voting.poll import Poll, RefusedError
from latxa_cli.voting.remarks import seen_turns

LONGEST_SHOWN = 100_000  # characters of a turn: a page with a longer one stands still
LARGEST_VOTE = 256 * 1024  # bytes of a request: the longest correction, in any script, and marks
COOKIE = "voter"
COOKIE_SECONDS = 365 * 24 * 3600
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "latxa",
}
INSUFFICIENT_STORAGE = 507

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Address:
    """Where the page is served. behind_proxy: a proxy serves it by HTTPS."""

    host: str
    port: int
    behind_proxy: bool

    @property
    def is_private(self) -> bool:
        """Whether only this machine can ask, by names of its own."""
        return is_own_name(self.host) and not self.behind_proxy


class Server:
    """The handlers of a poll."""

    def __init__(self, poll: Poll, page: Page, address: Address) -> None:
        self.poll, self.page, self.address = poll, page, address
        # The cookie of who has seen names of models; a browser sends those of all ports of a host.
        self._informed = f"informed-{poll.ballots.poll}"
        self.live = poll.ballots if isinstance(poll.ballots, LiveBallots) else None

    def app(self) -> web.Application:
        """Return the application."""
        largest = LARGEST_VOTE + (self.live.limits.largest if self.live else 0)
        app = web.Application(middlewares=[_errors_as_json, self._refuse_other_names], client_max_size=largest)
        if self.live:
            app.router.add_post("/messages", self._take_message)
            app.cleanup_ctx.append(self._ask_models)
        app.router.add_get("/", self._show_page)
        app.router.add_get("/ballot", self._give_ballot)
        app.router.add_post("/votes", self._take_vote)
        app.router.add_get("/code", self._give_code)
        app.router.add_post("/withdrawal", self._take_withdrawal)
        app.router.add_get("/table", self._show_table)
        app.router.add_get(f"/organiser/{self.poll.ballots.organiser}", self._show_organiser)
        for name in self.page.files:
            app.router.add_get(f"/{name}", self._send_file)
        app.on_response_prepare.append(_add_headers)
        return app

    @web.middleware
    async def _refuse_other_names(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let nobody read a page of this machine through a name of theirs that leads to it (DNS rebinding)."""
        names = [f"//{request.headers.get('Host', '')}", *request.headers.getall("Origin", [])]
        if self.address.is_private and not all(map(_is_own_address, names)):
            self.poll.tell("a request under a name that is not this machine's was refused: see `--behind-proxy`")
            raise web.HTTPMisdirectedRequest
        return await handler(request)

    async def _show_page(self, request: web.Request) -> web.Response:
        response = web.Response(body=self.page.html, content_type="text/html", charset="utf-8")
        if not is_cookie(request.cookies.get(COOKIE)):
            self._set_cookie(response, COOKIE, new_cookie())
        return response

    async def _send_file(self, request: web.Request) -> web.Response:
        body, kind = self.page.files[request.path.removeprefix("/")]
        return web.Response(body=body, content_type=kind, charset="utf-8")

    async def _give_ballot(self, request: web.Request) -> web.Response:
        user = self._user(request)
        said: JsonObject = {"cast": self.poll.votes_of(user)}
        if self.live:
            return _json(said | {"live": {"turns": self.live.limits.turns, "longest": LONGEST_MESSAGE}})
        ballot = self.poll.ballot_for(user, time.time())
        return _json(said | (self._shown(ballot) if ballot else {"done": True}))

    async def _take_vote(self, request: web.Request) -> web.Response:
        user = self._user(request)
        informed = self._informed in request.cookies
        await self.poll.cast(user, await _body(request), time.time(), informed=informed)
        return _json({"cast": self.poll.votes_of(user)})

    async def _give_code(self, request: web.Request) -> web.Response:
        return _json({"code": self.poll.ballots.code(self._user(request))})

    async def _take_withdrawal(self, request: web.Request) -> web.Response:
        user, body = self._user(request), await _body(request)
        code, sure = (body.get("code"), body.get("sure") is True) if isinstance(body, dict) else (None, False)
        return _json({"votes": await self.poll.withdraw(user, code, sure=sure)})

    async def _show_table(self, request: web.Request) -> web.Response:
        rows = self.poll.table(self._user(request))
        if rows is None:
            raise RefusedError("too early")
        response = _json({"rows": rows})
        self._set_cookie(response, self._informed, "1")
        return response

    async def _take_message(self, request: web.Request) -> web.Response:
        user, body = self._user(request), await _body(request)
        assert self.live is not None
        if not isinstance(body, dict):
            raise BadMessageError("no message")
        if not self.poll.agreed(body):
            raise RefusedError("no consent")
        return _json(self._shown(await self.live.answer(user, body, self.poll.seen, self.poll.box.cast)))

    async def _ask_models(self, _app: web.Application) -> AsyncIterator[None]:
        assert self.live is not None
        async with self.live.open():
            yield

    async def _show_organiser(self, _request: web.Request) -> web.Response:
        return web.Response(body=organiser_page(self.poll), content_type="text/html", charset="utf-8")

    def _set_cookie(self, response: web.Response, name: str, value: str) -> None:
        secure = self.address.behind_proxy  # then the cookie is never sent without HTTPS
        response.set_cookie(name, value, max_age=COOKIE_SECONDS, httponly=True, samesite="Strict", secure=secure)

    def _user(self, request: web.Request) -> str:
        cookie = request.cookies.get(COOKIE)
        if cookie is None or not is_cookie(cookie):
            raise RefusedError("no cookie")
        return self.poll.ballots.pseudonym(cookie)

    def _shown(self, ballot: Ballot) -> JsonObject:
        first, second = ballot.responses
        one, other = (_turns(response) for response in (first, second))
        shared = 1 if self.live else _shared(one, other)
        language = first.get("language") or second.get("language") or ""
        answers = [one[shared:], other[shared:]]
        slip = self.poll.ballots.slip(ballot)
        return {"ballot": slip, "language": language, "prompt": one[:shared], "answers": answers}


def is_own_name(name: str) -> bool:
    """Whether a name or an address is one by which a machine calls itself."""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _is_own_address(address: str) -> bool:
    try:
        return is_own_name(urlsplit(address).hostname or "")
    except ValueError:
        return False


def _turns(response: Record) -> list[Record]:
    """Return the turns that a voter sees; the rest of a very long one is `cut` off."""
    turns = [response["messages"][place] for place in seen_turns(response["messages"])]
    return [
        {"role": turn["role"], "content": turn["content"][:LONGEST_SHOWN]}
        | ({"cut": True} if len(turn["content"]) > LONGEST_SHOWN else {})
        for turn in turns
    ]


def _shared(one: list[Record], other: list[Record]) -> int:
    """Return how many turns of two conversations are the prompt: those that are alike, but not the last of either."""
    shared = 0
    while shared < min(len(one), len(other)) - 1 and one[shared] == other[shared]:
        shared += 1
    return shared


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raises LatxaError where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
        hint = "`--port` names another; 0 takes one that is free"
        raise LatxaError(f"`{host}` port {port} cannot be used ({reason})", hint=hint) from None


def serve(app: web.Application, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM, and answer what has come by then. ready: called once requests are answered."""
    asyncio.run(_serve(app, listening, ready))


async def _serve(app: web.Application, listening: socket.socket, ready: Callable[[], None]) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    ready()
    await stop.wait()
    await runner.cleanup()


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RefusedError as error:
        return _json({"error": str(error)}, status=403)
    except web.HTTPRequestEntityTooLarge:
        return _json({"error": "too large"}, status=413)
    except TooFastError:
        return _json({"error": "too fast"}, status=429, headers={"Retry-After": "10"})
    except BadMessageError as error:
        return _json({"error": str(error)}, status=400)
    except NoAnswerError:  # whose, and why, would tell too much
        return _json({"error": "the models gave no answer"}, status=503)
    except LatxaError:  # the disk; where it is would tell too much
        return _json({"error": "the disk is full, or fails"}, status=INSUFFICIENT_STORAGE)


async def _body(request: web.Request) -> object:
    """Return the JSON of a request; None for what is not JSON, or is nested so deep that it cannot be written again."""
    if request.content_type != "application/json":  # what forms of other sites cannot send
        raise web.HTTPUnsupportedMediaType
    try:
        body = orjson.loads(await request.read())
        orjson.dumps(body)
    except (ValueError, TypeError):
        return None
    return body


def _json(said: JsonObject, **options: Any) -> web.Response:
    return web.Response(body=orjson.dumps(said), content_type="application/json", **options)


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
