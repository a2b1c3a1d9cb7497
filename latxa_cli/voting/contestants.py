"""The models of a live poll, each behind an OpenAI-compatible server.

What a model gives is its whole answer, or nothing: an answer that is late, empty, too long, cut off by a filter, or not
of the form, is a failure, which is counted and never shown.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from latxa_cli.generation.budget import Budget
from latxa_cli.generation.engine import Completion, Decoding, Request
from latxa_cli.generation.http import Server
from latxa_cli.generation.openai import ServerEngine
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.named import named_values
from latxa_cli.stream.records import JsonObject, Record

KEY_NAME = "OPENAI_API_KEY"
HERE = frozenset(("localhost", "127.0.0.1", "::1"))
LONGEST_ANSWER = 20_000  # characters
LARGEST_ANSWER = 1 << 20  # bytes of what a server sends, thoughts and all
SECONDS_OF_REST = 30.0  # so long a model that failed is asked where there is no other
KINDS = {"too long": "the conversation is too long for it", "filtered": "stopped by a content filter"}


@dataclass(frozen=True)
class Answer:
    """text: as it is shown. seconds: until it was there."""

    text: str
    seconds: float


@dataclass
class Contestant:
    """A model that answers. failures: how often, by kind. last: what was said of the last one."""

    name: str
    engine: ServerEngine
    answers: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    last: str = ""
    _rests_until: float = 0.0

    def rests(self, now: float) -> bool:
        """Whether it has failed just now."""
        return now < self._rests_until

    async def ask(
        self, session: aiohttp.ClientSession, messages: Sequence[Record], decoding: Decoding, seed: int
    ) -> Answer | None:
        """Return the answer to a conversation; None for a failure."""
        turns = tuple({"role": message["role"], "content": message["content"]} for message in messages)
        started = time.monotonic()
        try:
            async with asyncio.timeout(self.engine.server.timeout):
                completion = await self.engine.complete(session, Request(decoding, seed, messages=turns))
        except TimeoutError:
            self._fail("no answer in time")
            return None
        except LatxaError as error:
            self._fail("no answer", error.message)
            return None
        text = completion.text.strip()
        if kind := _kind_of_failure(completion, text):
            self._fail(kind, completion.text if completion.finish_reason == "failed" else "")
            return None
        self.answers += 1
        self._rests_until = 0.0
        return Answer(text, time.monotonic() - started)

    def _fail(self, kind: str, said: str = "") -> None:
        self.failures[kind] += 1
        self.last = said or self.last
        self._rests_until = time.monotonic() + SECONDS_OF_REST

    def facts(self) -> JsonObject:
        """Return what a manifest says of it."""
        return {"name": self.name, **self.engine.facts(), "answers": self.answers, "failures": dict(self.failures)}


def _kind_of_failure(completion: Completion, text: str) -> str:
    """Return why this is no answer; empty for one."""
    if completion.finish_reason not in ("stop", "length"):
        return KINDS.get(completion.finish_reason, "no answer")
    if not text:
        return "an empty answer"
    return f"an answer of more than {LONGEST_ANSWER:,} characters" if len(text) > LONGEST_ANSWER else ""


def contestants_of(
    models: Sequence[str], served: Sequence[str], keys: Sequence[str], *, api_key: str | None, timeout: float
) -> list[Contestant]:
    """Return the models of `NAME=URL` flags, in the order of their names, once their servers are found to have them.

    served: `NAME=SERVED`, what a server calls a model. keys: `NAME=FILE` with the key of its server. api_key: that of
    all others, if these are on one host. timeout: seconds of an answer.

    Raises UsageError for flags that cannot be, LatxaError for a server that is not there or has no such model.
    """
    addresses = named_values("--model", models, "NAME=URL", str, hint="such as `ours=http://localhost:8000/v1`")
    if len(addresses) < 2:
        raise UsageError("votes need two models or more", hint="`--model` is given for each of them")
    names = named_values("--served", served, "NAME=SERVED", str)
    files = named_values("--key", keys, "NAME=FILE", Path)
    for flag, given in (("--served", names), ("--key", files)):
        if unknown := [name for name in given if name not in addresses]:
            raise UsageError(f"`{flag} {unknown[0]}=…`: there is no `--model {unknown[0]}=…`")
    servers = {
        name: Server(
            address, key=_read_key(files[name]) if name in files else api_key, retries=0, timeout=timeout,
            largest=LARGEST_ANSWER, flag=f"--model {name}=…", key_name=f"--key {name}=…" if name in files else KEY_NAME,
        )
        for name, address in sorted(addresses.items())
    }  # fmt: skip
    if api_key:
        _check_one_host({name: server for name, server in servers.items() if name not in files})
    found = [
        Contestant(name, ServerEngine(names.get(name, name), server, 1, Budget())) for name, server in servers.items()
    ]
    asyncio.run(_look(found))
    return found


def _check_one_host(servers: Mapping[str, Server]) -> None:
    """Raise UsageError where one key would go to several hosts, this machine aside."""
    hosts = sorted({server.url.host or "" for server in servers.values()} - HERE)
    if len(hosts) > 1:
        raise UsageError(
            f"`{KEY_NAME}` would go to {len(hosts)} hosts, `{hosts[0]}` and `{hosts[1]}` among them",
            hint="unset it, and name the key of each model's server by `--key NAME=FILE`",
        )


def _read_key(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(f"`--key …={path}` cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"`--key …={path}` is no text") from None


async def _look(contestants: Sequence[Contestant]) -> None:
    await asyncio.gather(*(contestant.engine.look() for contestant in contestants))
