"""The openai engine: any OpenAI-compatible server (vLLM, SGLang, llama.cpp, a cloud), many requests at once.

Conversations go to `/chat/completions`, texts to `/completions`. Only standard fields are sent, but for vLLM, which can
be asked for what the other engines do: special tokens that stay visible, and sampling by the decoding alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from difflib import SequenceMatcher
from queue import SimpleQueue
from typing import Any

import aiohttp
import orjson
from yarl import URL

from latxa_cli.chat.pre_query import pre_query
from latxa_cli.chat.rendering import set_date, thinking_switches
from latxa_cli.chat.special import begin_of_text, special_tokens
from latxa_cli.chat.thinking import can_think
from latxa_cli.chat.turn_end import end_of_turn_ids
from latxa_cli.generation.budget import Budget
from latxa_cli.generation.engine import Completion, EngineOptions, Request, engine_options
from latxa_cli.generation.http import Refusal, RequestFailure, Server
from latxa_cli.generation.openai_answer import AnswerReader
from latxa_cli.generation.openai_form import (
    OTHER_LIMIT,
    models_of,
    refused_field,
    refused_turns,
    refuses_logprobs,
    refuses_schemas,
    renamed,
    schema_fields,
    too_long,
    version_of,
    weighing_fields,
    without_schema,
)
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.tokenizer import load_tokenizer

BATCH_SIZE = 64
BATCHES_PER_WINDOW = 4  # so many are begun, that one slow answer does not hold up the others
TEMPLATE_TOKENS = 500  # what a chat template may add to a prompt, for the most that a request can cost
SEEDS = 1 << 53  # the whole numbers that every reader of JSON keeps


def load(model: str, options: EngineOptions) -> ServerEngine:
    """Ask the server at `options.base_url` whether it is there and has `model`.

    Raises UsageError for options that cannot be, LatxaError for a server that is not there, refuses the key, or has no
    such model.
    """
    given = engine_options(
        options.engine_option, {"tokenizer": str, "retries": _retries, "timeout": _timeout, "price": _price}
    )
    if options.max_cost is not None and "price" not in given:
        raise UsageError(
            "`--max-cost` needs a price",
            hint="`--engine-option price=0.15/0.60`: of a million prompt tokens, and of a million completion tokens",
        )
    if options.trust_remote_code and "tokenizer" not in given:
        raise UsageError(
            "`--trust-remote-code` has no effect with a server but on the tokenizer",
            hint="`--engine-option tokenizer=MODEL`",
        )
    limits = {name: given[name] for name in ("retries", "timeout") if name in given}
    assert options.base_url is not None, "`open_engine` has seen to it"
    server = Server(options.base_url, key=options.api_key, **limits)
    server.say = options.say
    engine = ServerEngine(model, server, options.batch_size or BATCH_SIZE, Budget(given.get("price"), options.max_cost))
    asyncio.run(engine.look())
    if "tokenizer" in given:
        tokenizer = load_tokenizer(given["tokenizer"], trust_remote_code=options.trust_remote_code)
        set_date(tokenizer, options.day)
        engine.use(tokenizer)
    return engine


def _retries(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("how often to try again (`5`, `0`)")
    return int(text)


def _timeout(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise ValueError("a number of seconds")
    return seconds


def _price(text: str) -> tuple[float, float]:
    prompt, _, completion = text.partition("/")
    try:
        price = float(prompt), float(completion)
    except ValueError:
        price = (-1.0, -1.0)
    if not all(0 <= part < 1e9 for part in price):
        raise ValueError("the price of a million prompt tokens and of a million completion tokens, as `0.15/0.60`")
    return price


class ServerEngine:
    """`batch_size` requests under way; see `generation.engine.Engine`. `tokenizer` is None unless `use` gave one.

    A request that the `budget` might not cover is not sent; when all others are done, LatxaError ends the run.
    """

    tokenizer: Any = None
    constrains = True  # until it refuses to
    weighs = True  # the same

    def __init__(self, name: str, server: Server, batch_size: int, budget: Budget) -> None:
        self.name, self.server, self.batch_size, self.budget = name, server, batch_size, budget
        self.window = batch_size * BATCHES_PER_WINDOW
        self.kind: str | None = None  # who the server says owns the model: `vllm`, …
        self.version: str | None = None
        self.context: int | None = None
        self.begin = ""  # what the server writes before a text of its own accord
        self.markers: frozenset[str] = frozenset()
        self.reader = AnswerReader(server, budget)
        self.further: dict[str, Any] = {}  # fields that only this kind of server knows
        self.limit = "max_tokens"  # what the server calls it
        self.refused: tuple[str, ...] = ()  # fields without which the server is asked, since it refuses them

    def use(self, tokenizer: Any) -> None:
        """Take the tokenizer of the server's model, for chat templates and for texts that spell special tokens."""
        self.tokenizer = tokenizer
        self.markers = special_tokens(tokenizer)
        if can_think(tokenizer):
            self.reader.before_answer = pre_query(tokenizer).suffix
        if begin_of_text(tokenizer):
            self.begin = tokenizer.bos_token
        if self.kind == "vllm":
            self.further["stop_token_ids"] = end_of_turn_ids(tokenizer)

    @property
    def prompt_tokens(self) -> int:
        return self.budget.prompt_tokens

    @property
    def completion_tokens(self) -> int:
        return self.budget.completion_tokens

    def facts(self) -> dict[str, Any]:
        return {
            "model": self.name,
            "revision": None,
            "engine": "openai",
            "base_url": str(self.server.url),
            "server": self.kind,
            "server_version": self.version,
            "dtype": None,
            "batch_invariant": False,
            **({"refused_fields": list(self.refused)} if self.refused else {}),
            **self.budget.facts(),
        }

    # --- before hours are spent

    async def look(self) -> None:
        """Ask which models the server has; raises LatxaError where it is not there, or has none of this name."""
        async with self.server.session() as session:
            try:
                models = await self.server.ask(session, self.server.url / "models", None, models_of)
            except Refusal as refusal:
                if refusal.status in (404, 405):  # it does not tell
                    return
                raise
            # Some write a folder before the names that they take.
            mine = [entry for entry in models if entry["id"] == self.name or entry["id"].endswith("/" + self.name)]
            if models and not mine:
                raise self._no_such_model([entry["id"] for entry in models])
            for entry in mine[:1]:
                await self._know(session, entry)

    def _no_such_model(self, names: list[str]) -> LatxaError:
        names = sorted(names, key=lambda name: -SequenceMatcher(None, name.lower(), self.name.lower()).ratio())
        shown = ", ".join(f"`{self.server.quoted(name)}`" for name in names[:5])
        more = f" and {len(names) - 5} others" if len(names) > 5 else ""
        return LatxaError(f"`{self.server.url}` has no model `{self.name}`", hint=f"it has {shown}{more}")

    async def _know(self, session: aiohttp.ClientSession, entry: dict[str, Any]) -> None:
        """Learn from the model's entry which kind of server it is, and what it can be asked."""
        owner, context = entry.get("owned_by"), entry.get("max_model_len")
        self.kind = self.server.quoted(owner) if isinstance(owner, str) else None
        self.context = context if isinstance(context, int) else None
        if self.kind != "vllm":
            return
        # It would fill what we leave open from the model's generation configuration.
        self.further = {"skip_special_tokens": False, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
        try:
            version = await self.server.ask(session, self.server.url.parent / "version", None, version_of)
            self.version = self.server.quoted(version)
        except LatxaError:  # behind a gateway that hides it
            self.version = None

    # --- generation

    def generate(self, requests: Iterable[Request | None]) -> Iterator[tuple[int, Completion]]:
        iterator, more, place = iter(requests), True, 0
        done: SimpleQueue[tuple[int, Future[Completion]] | str] = SimpleQueue()  # and what is to be said
        under_way: dict[int, float] = {}  # the most that each may cost, by place
        waiting: Request | None = None  # pulled and not yet sent
        with self._saying(done.put) as say, self.server.sending() as (session, send):
            while more or under_way:
                while more and len(under_way) < self.batch_size and done.empty():
                    if waiting is None:
                        try:
                            waiting = next(iterator)
                        except StopIteration:
                            more = False
                    if waiting is None:
                        break
                    url, body = self._request(waiting)
                    choices = waiting.choices
                    cost = self._most(body)
                    if not self.budget.covers(sum(under_way.values()) + cost):
                        if under_way:  # which may cost less than the most
                            break
                        raise self.budget.exhausted()
                    future = send(self._complete(session, url, body, choices))
                    future.add_done_callback(lambda future, place=place: done.put((place, future)))  # type: ignore[misc]
                    under_way[place] = cost
                    place, waiting = place + 1, None
                if under_way:
                    news = done.get()
                    if isinstance(news, str):
                        say(news)
                        continue
                    finished, future = news
                    del under_way[finished]
                    yield finished, self.budget.count(future.result())

    async def complete(self, session: aiohttp.ClientSession, request: Request) -> Completion:
        """Return what the server makes of one request, in the caller's event loop; see `Server.ask` for `session`.

        Raises LatxaError where no other request would go better.
        """
        url, body = self._request(request)
        return self.budget.count(await self._complete(session, url, body, request.choices))

    @contextmanager
    def _saying(self, put: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
        """Have what the thread of the requests says put aside, for this one to say by what is given."""
        say, self.server.say = self.server.say, put
        try:
            yield say
        finally:
            self.server.say = say

    def _most(self, body: dict[str, Any]) -> float:
        """Return what a request can cost at the most: a token of the prompt is a byte or more."""
        prompt = len(orjson.dumps(body.get("messages") or body["prompt"])) + TEMPLATE_TOKENS
        return self.budget.cost(prompt, body["max_tokens"])

    async def _complete(
        self, session: aiohttp.ClientSession, url: URL, body: dict[str, Any], choices: tuple[str, ...]
    ) -> Completion:
        """Return what the server makes of a request; raises LatxaError where no other would go better."""
        try:
            try:
                return await self._ask(session, url, body, choices)
            except Refusal as refusal:
                if refuses_schemas(refusal, body):
                    self.constrains = False
                    return await self._complete(session, url, without_schema(body), choices)
                if choices and refuses_logprobs(refusal):
                    raise LatxaError(
                        refusal.message, hint="have the model write its answer: `--format generate`"
                    ) from None
                if not too_long(refusal):
                    raise
            # It may refuse a prompt that fits because prompt and `max_tokens` together do not. What is left of the
            # context will do, and that is what a server gives that is told no number.
            return await self._ask(session, url, body | {"max_tokens": None}, choices)
        except RequestFailure as failure:
            if failure.of_all:
                raise
            if isinstance(failure, Refusal) and too_long(failure):
                return Completion("", "too long", 0, 0)
            if isinstance(failure, Refusal) and refused_turns(failure, body):
                return Completion(failure.said, "refused", 0, 0)
            return Completion(failure.message, "failed", 0, 0)

    async def _ask(
        self, session: aiohttp.ClientSession, url: URL, body: dict[str, Any], choices: tuple[str, ...]
    ) -> Completion:
        """Send a request; again without a field that the server refuses, or with another name for `max_tokens`."""
        limit, refused = self.limit, self.refused

        def read(answer: Any) -> Completion:
            return self.reader.read(answer, choices)

        body = {name: value for name, value in body.items() if name not in refused}
        try:
            return await self.server.ask(session, url, renamed(body, limit), read)
        except Refusal as refusal:
            field = refused_field(refusal, body)
            if field is None and (
                limit != "max_tokens" or refusal.status not in (400, 422) or not OTHER_LIMIT.search(refusal.said)
            ):
                raise
        if field is None:
            completion = await self.server.ask(session, url, renamed(body, "max_completion_tokens"), read)
            self.limit = "max_completion_tokens"
            return completion
        if field not in self.refused:  # others that are under way may have found it too
            self.refused = (*self.refused, field)
            self.server.say(f"`{self.server.url}` refuses `{field}`, and is asked without it")
        return await self._ask(session, url, body, choices)

    def _request(self, request: Request) -> tuple[URL, dict[str, Any]]:
        """Return where to send the request, and the body."""
        decoding, url = request.decoding, self.server.url
        body: dict[str, Any] = {
            "model": self.name,
            "max_tokens": min(decoding.max_tokens, self.context or decoding.max_tokens),
            "temperature": decoding.temperature,
            "top_p": decoding.top_p or 1e-6,  # none takes 0, which is to leave one token
            "seed": request.seed % SEEDS,
            **({"stop": list(decoding.stop)} if decoding.stop else {}),
            **self.further,
        }
        if request.schema is not None and self.constrains:
            body |= schema_fields(request.schema, chat=request.messages is not None, vllm=self.kind == "vllm")
        if request.choices:
            body |= weighing_fields(chat=request.messages is not None)
        if request.messages is not None:
            if request.thinking is not None:
                body["chat_template_kwargs"] = thinking_switches(request.thinking)
            return url / "chat/completions", body | {"messages": request.messages}
        if request.text is not None:
            return url / "completions", body | {"prompt": self._plain(request.text)}
        prompt = request.prompt or ""  # it begins as it must; vLLM can be told so, others begin it themselves
        if self.kind == "vllm":
            return url / "completions", body | {"prompt": prompt, "add_special_tokens": False}
        return url / "completions", body | {"prompt": prompt.removeprefix(self.begin)}

    def _plain(self, text: str) -> str | list[int]:
        """Return a plain text for a server that would read what spells a special token as that token."""
        if not any(marker in text for marker in self.markers):
            return text
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)[
            "input_ids"
        ]
        return [self.tokenizer.bos_token_id, *ids] if self.begin else ids
