"""A server that answers JSON over HTTP: asked again where it may go better, and an error of one line where it does not.

What a server says is not to be trusted: it is cut, made printable, and cleared of our key before it is shown.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
from yarl import URL

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.secrets import without_secrets
from latxa_cli.stream.terminal import printable

SECONDS_TO_CONNECT = 30.0
LONGEST_BACK_OFF = 60.0  # seconds; it doubles from one
LONGEST_RETRY_AFTER = 300.0  # seconds; who asks for more is asked before
LARGEST = 64 << 20  # bytes of an answer
LONGEST_QUOTE = 300  # characters of what the server said
LONG_WAIT = 10.0  # seconds from which on people are told what they wait for
# What concerns key, account, model or address, and not the one request.
OF_ALL = frozenset((401, 402, 404, 405, 407, 429, 501))

Result = TypeVar("Result")
Send = Callable[[Coroutine[Any, Any, Result]], "Future[Result]"]


class TransientFailure(Exception):  # noqa: N818  # no error of the run's before it has happened too often
    """A failure after which the same request may go well.

    `wait`: how many seconds the server asks for; `of_all`: no other request would have gone better.
    """

    def __init__(self, what: str, wait: float = 0.0, *, of_all: bool = False) -> None:
        super().__init__(what)
        self.wait, self.of_all = wait, of_all


class RequestFailure(LatxaError):  # noqa: N818
    """A request came to nothing, and would another time; `of_all`: so would any other."""

    def __init__(self, message: str, *, hint: str = "", of_all: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.of_all = of_all


class Refusal(RequestFailure):
    """An answer with an HTTP `status` that is final; `said` is the server's reason."""

    def __init__(self, message: str, *, hint: str, status: int, said: str) -> None:
        super().__init__(message, hint=hint, of_all=status in OF_ALL or 300 <= status < 400)
        self.status, self.said = status, said


class Server:
    """The server at `address` (`http://host:8000/v1`, perhaps with `user:password@`), asked with `key` if there is one.

    A request may take `timeout` seconds, and is sent at most `retries` times more than once. An answer of more than
    `largest` bytes is none. `say` is told of long waits, in the thread that sends. `flag` gave the address, and
    `key_name` the key.
    Raises UsageError for what is not the address of a server, or a key that cannot be one.
    """

    def __init__(
        self,
        address: str,
        *,
        key: str | None = None,
        retries: int = 5,
        timeout: float = 600.0,
        largest: int = LARGEST,
        flag: str = "--base-url",
        key_name: str = "OPENAI_API_KEY",
    ) -> None:
        given = _parsed(address, flag)
        self.url = given.with_user(None)
        self.retries, self.timeout, self.largest = retries, timeout, largest
        self.flag, self.key_name = flag, key_name
        self.check_address = f"is `{flag}` right? It mostly ends in `/v1`"
        self.say: Callable[[str], None] = lambda text: None
        self._told_until = 0.0  # what all wait for until then has been said
        self._key = (key or "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise UsageError(f"`{key_name}` holds characters that no key has", hint="was it copied whole?")
        self._secrets = [secret for secret in (self._key, given.password) if secret]
        self._headers = {"Content-Type": "application/json"}
        if given.user is not None:
            self._headers["Authorization"] = _basic(given.user, given.password or "", flag)
            self._secrets.append(self._headers["Authorization"].removeprefix("Basic "))
        elif self._key:
            self._headers["Authorization"] = f"Bearer {self._key}"
        self._proxy = None if proxy_bypass(given.host or "") else getproxies().get(given.scheme)
        self._proven = False  # it has answered in JSON: if it is gone now, it may come back

    # --- connections

    def session(self) -> aiohttp.ClientSession:
        """Return a session for `ask`, to be used and closed in a running event loop."""
        return aiohttp.ClientSession(
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=self.timeout, sock_connect=SECONDS_TO_CONNECT),
            connector=aiohttp.TCPConnector(limit=0),  # the caller bounds what is under way
        )

    @contextmanager
    def sending(self) -> Iterator[tuple[aiohttp.ClientSession, Send[Any]]]:
        """Open a session in an event loop in a thread of its own; give it, and a function that runs coroutines there.

        At the end what is under way is given up. A thread, since the caller may be busy or wait for its input while
        answers come.
        """
        begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, aiohttp.ClientSession]] = Future()

        async def serve() -> None:
            end = asyncio.Event()
            async with self.session() as session:
                begun.set_result((asyncio.get_running_loop(), end, session))
                await end.wait()
                given_up = asyncio.all_tasks() - {asyncio.current_task()}
                for task in given_up:
                    task.cancel()
                await asyncio.gather(*given_up, return_exceptions=True)

        thread = threading.Thread(target=lambda: asyncio.run(serve()), name="latxa-requests", daemon=True)
        thread.start()
        loop, end, session = begun.result()
        try:
            yield session, lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop)
        finally:
            loop.call_soon_threadsafe(end.set)
            thread.join()

    # --- requests

    async def ask(
        self, session: aiohttp.ClientSession, url: URL, body: dict[str, Any] | None, read: Callable[[Any], Result]
    ) -> Result:
        """Return what `read` makes of the JSON that `url` answers to a POST of `body`, or (None) to a GET.

        `read` raises TransientFailure for an answer that may be better another time, ValueError for another form.

        Raises Refusal for a status that is final, RequestFailure for an answer that is not of the form and for a
        failure that came with every try, and LatxaError for a server that never answered.
        """
        data = None if body is None else orjson.dumps(body)
        for tries in range(1, self.retries + 2):
            try:
                return self._read(url, await self._once(session, url, data), read)
            except TransientFailure as failure:
                last = failure
            if tries <= self.retries:
                self._tell_wait(url, last)
                # Full jitter: requests that failed together do not come back together.
                await asyncio.sleep(last.wait + random.uniform(0.0, min(LONGEST_BACK_OFF, 2.0 ** (tries - 1))))
        many = f"failed {self.retries + 1} times, at last: " if self.retries else ""
        raise RequestFailure(
            f"`{url}` {many}{last}",
            hint="fewer at once (`--batch-size`) or more tries (`--engine-option retries=N`)? `--resume` goes on",
            of_all=last.of_all,
        )

    def _tell_wait(self, url: URL, failure: TransientFailure) -> None:
        if failure.wait >= LONG_WAIT and time.monotonic() >= self._told_until:
            self._told_until = time.monotonic() + failure.wait
            self.say(f"waiting {failure.wait:,.0f} s: `{url}` {failure}")

    async def _once(self, session: aiohttp.ClientSession, url: URL, data: bytes | None) -> Any:
        method = "GET" if data is None else "POST"
        try:
            async with session.request(method, url, data=data, proxy=self._proxy, allow_redirects=False) as response:
                raw = await self._whole(url, response)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            reason = getattr(error, "strerror", None) or f"no connection in {SECONDS_TO_CONNECT:g} s"
            raise self._gone(f"cannot be reached: {self.quoted(reason)}") from None
        except UnicodeError:
            raise LatxaError(
                f"`{self.url}`: its host is no name that can be looked up", hint=self.check_address
            ) from None
        except TimeoutError:
            raise TransientFailure(f"gave no whole answer in {self.timeout:g} s") from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError):
            raise TransientFailure("broke off the connection") from None
        except aiohttp.ClientError as error:
            raise TransientFailure(f"does not answer in HTTP: {self.quoted(str(error))}") from None
        if not 200 <= response.status < 300:
            raise self._bad_status(url, response, self._said(raw))
        try:
            answer = orjson.loads(raw)
        except ValueError:
            if _is_html(raw):
                raise self._gone(f"answers with {self._said(raw)}, not with JSON") from None
            raise TransientFailure(f"gave an answer that is not JSON: {self._said(raw) or 'nothing'}") from None
        self._proven = True
        return answer

    async def _whole(self, url: URL, response: aiohttp.ClientResponse) -> bytes:
        """Return the body of an answer; raises RequestFailure for one of more bytes than it may have."""
        raw = bytearray()
        async for piece in response.content.iter_any():
            raw += piece
            if len(raw) > self.largest:
                raise RequestFailure(f"`{url}` gave an answer of more than {self.largest:,} bytes")
        return bytes(raw)

    def _read(self, url: URL, answer: Any, read: Callable[[Any], Result]) -> Result:
        try:
            return read(answer)
        except ValueError as error:
            found = self.quoted(orjson.dumps(answer).decode())
            raise RequestFailure(
                f"`{url}` does not answer as an OpenAI-compatible server: {error}: {found}", hint=self.check_address
            ) from None

    def _gone(self, what: str) -> Exception:
        """Return the failure of a server that is not (or no longer) behind its address."""
        return (
            TransientFailure(what, of_all=True)
            if self._proven
            else LatxaError(f"`{self.url}` {what}", hint=self.check_address)
        )

    def _bad_status(self, url: URL, response: aiohttp.ClientResponse, said: str) -> Exception:
        status = response.status
        known = {code.value: code.phrase for code in HTTPStatus}
        what = f"answers {status} {known.get(status, '')}".rstrip() + (f": {said}" if said else "")
        if status in (408, 429) or (status >= 500 and status != 501):
            asked = response.headers.get("Retry-After", "")
            wait = _retry_after(asked)
            if wait >= LONG_WAIT:
                what += f" (Retry-After: {self.quoted(asked)})"
            return TransientFailure(what, wait, of_all=status in OF_ALL)
        if status in (401, 403):
            name = self.key_name
            hint = f"is the key in `{name}` one of this server's?" if self._key else f"it may want `{name}`"
        elif 300 <= status < 400:
            hint = (
                f"it sends us on to `{self.quoted(response.headers.get('Location', ''))}`: is that the `{self.flag}`?"
            )
        else:
            hint = self.check_address if status in (404, 405) else ""
        return Refusal(f"`{url}` {what}", hint=hint, status=status, said=said)

    # --- what the server says

    def _said(self, raw: bytes) -> str:
        """Return in a few words what the body of an answer says."""
        if _is_html(raw):
            title = re.search(rb"<title[^>]*>(.*?)</title", raw, re.IGNORECASE | re.DOTALL)
            return "an HTML page" + (f" ({self.quoted(title[1].decode('utf-8', 'replace'))})" if title else "")
        try:
            found = orjson.loads(raw)
        except ValueError:
            return self.quoted(raw.decode("utf-8", "replace"))
        return self.reason(found)

    def reason(self, found: Any) -> str:
        """Return what an object says that reports an error."""
        for name in ("error", "message", "detail"):
            if isinstance(found, dict) and found.get(name):
                found = found[name]
        return self.quoted(found if isinstance(found, str) else orjson.dumps(found).decode())

    def quoted(self, text: str) -> str:
        """Return what the server said as it may be shown."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = printable(without_secrets(text[: 10 * LONGEST_QUOTE]))  # it may quote the keys of its own servers
        return text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + " …"


def _parsed(address: str, flag: str) -> URL:
    try:
        url = URL(address)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host or url.query_string or url.fragment:
        raise UsageError(f"`{flag}` is not the address of a server", hint="it looks like `http://localhost:8000/v1`")
    return url


def _basic(user: str, password: str, flag: str) -> str:
    """Return the header of RFC 7617; raises UsageError."""
    if ":" in user:
        raise UsageError(f"the user in `{flag}` cannot be one", hint="it must not hold a colon")
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _is_html(raw: bytes) -> bool:
    return raw.lstrip()[:1] == b"<"


def _retry_after(text: str) -> float:
    """Return the seconds that a `Retry-After` header (seconds, or a date) asks for; 0 where it cannot be read."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError, TypeError):
            return 0.0
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER)
