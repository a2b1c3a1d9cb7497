"""The openai engine: any OpenAI-compatible server (vLLM, SGLang, llama.cpp, a cloud), many requests at once.

Conversations go to `/chat/completions`, texts to `/completions`. Only standard fields are sent, but for vLLM, which can
be asked for what the other engines do: special tokens that stay visible, and sampling by the decoding alone.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from difflib import SequenceMatcher
from queue import SimpleQueue
from typing import Any

import aiohttp
import orjson
from yarl import URL

from latxa_cli import chat
from latxa_cli.generation.engine import Completion, EngineOptions, FinishReason, Request, engine_options
from latxa_cli.generation.server import Passing, Refusal, Server
from latxa_cli.model import load_tokenizer
from latxa_cli.stream.errors import LatxaError, UsageError

BATCH_SIZE = 64
BATCHES_PER_WINDOW = 4  # so many are begun, that one slow answer does not hold up the others
TEMPLATE_TOKENS = 500  # what a chat template may add to a prompt, for the most that a request can cost
SEEDS = 1 << 53  # the whole numbers that every reader of JSON keeps

ENDINGS: dict[str, FinishReason] = {
    "stop": "stop", "eos_token": "stop", "stop_sequence": "stop", "length": "length", "content_filter": "length",
}  # fmt: skip
# What servers say of a prompt that does not fit; the first three lines are vLLM's, OpenAI's, llama.cpp's.
TOO_LONG = re.compile(
    r"max_model_len|max_tokens must be at least 1|"
    r"maximum context length|context_length|"
    r"context size|"
    r"context.{0,20}(length|window|limit)|prompt.{0,20}too long|too many (input )?tokens",
    re.IGNORECASE,
)
# What chat templates say of turns in an order that they do not write.
REFUSED_TURNS = re.compile(r"\broles?\b|\balternat", re.IGNORECASE)


def load(model: str, options: EngineOptions) -> ServerEngine:
    """Ask the server at `options.base_url` whether it is there and has `model`.

    Raises UsageError for options that cannot be, LatxaError for a server that is not there, refuses the key, or has no
    such model.
    """
    if options.base_url is None:
        raise UsageError("`--engine openai` needs `--base-url`", hint="such as `--base-url http://localhost:8000/v1`")
    for flag, value in (("--device", options.device), ("--gpu-memory", options.gpu_memory)):
        if value is not None:
            raise UsageError(f"`{flag}` is not for a server", hint="the server is told when it is started")
    given = engine_options(
        options.engine_option, {"tokenizer": str, "retries": _retries, "timeout": _timeout, "price": _price}
    )
    if options.max_cost is not None and "price" not in given:
        raise UsageError(
            "`--max-cost` needs a price",
            hint="`--engine-option price=0.15/0.60`: of a million prompt tokens, and of a million completion tokens",
        )
    limits = {name: given[name] for name in ("retries", "timeout") if name in given}
    server = Server(options.base_url, key=options.api_key, **limits)
    engine = ServerEngine(model, server, options.batch_size or BATCH_SIZE, given.get("price"), options.max_cost)
    asyncio.run(engine.look())
    if "tokenizer" in given:
        engine.use(load_tokenizer(given["tokenizer"], trust_remote_code=options.trust_remote_code))
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

    `price`: of a million prompt tokens and of a million completion tokens. A request that might bring the cost above
    `max_cost` is not sent; when all others are done, LatxaError ends the run. What failed tries cost is not known.
    """

    tokenizer: Any = None

    def __init__(
        self,
        name: str,
        server: Server,
        batch_size: int,
        price: tuple[float, float] | None = None,
        max_cost: float | None = None,
    ) -> None:
        self.name, self.server, self.batch_size, self.max_cost = name, server, batch_size, max_cost
        self.price = price
        self.window = batch_size * BATCHES_PER_WINDOW
        self.kind: str | None = None  # who the server says owns the model: `vllm`, …
        self.version: str | None = None
        self.context: int | None = None
        self.prompt_tokens = self.completion_tokens = 0
        self.begin = ""  # what the server writes before a text of its own accord
        self.markers: frozenset[str] = frozenset()
        self.before_answer: str | None = None  # what its template writes there, where the model may think aloud
        self.further: dict[str, Any] = {}  # fields that only this kind of server knows

    def use(self, tokenizer: Any) -> None:
        """Take the tokenizer of the server's model, for chat templates and for texts that spell special tokens."""
        self.tokenizer = tokenizer
        self.markers = chat.special_tokens(tokenizer)
        if chat.can_think(tokenizer):
            self.before_answer = chat.pre_query(tokenizer).suffix
        if tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id:
            self.begin = tokenizer.bos_token
        if self.kind == "vllm":
            self.further["stop_token_ids"] = chat.end_of_turn_ids(tokenizer)

    @property
    def spent(self) -> float:
        """The cost of the completions that came, in the currency of the price."""
        return self._cost(self.prompt_tokens, self.completion_tokens)

    def _cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        prompt, completion = self.price or (0.0, 0.0)
        return (prompt_tokens * prompt + completion_tokens * completion) / 1e6

    def facts(self) -> dict[str, Any]:
        priced = {"price": list(self.price), "spent": round(self.spent, 6)} if self.price else {}
        return {
            "model": self.name,
            "revision": None,
            "engine": "openai",
            "base_url": str(self.server.url),
            "server": self.kind,
            "server_version": self.version,
            "dtype": None,
            "batch_invariant": False,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            **priced,
        }

    # --- before hours are spent

    async def look(self) -> None:
        """Ask which models the server has; raises LatxaError where it is not there, or has none of this name."""
        async with self.server.session() as session:
            try:
                models = await self.server.ask(session, self.server.url / "models", None, _models)
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
            version = await self.server.ask(session, self.server.url.parent / "version", None, _version)
            self.version = self.server.quoted(version)
        except LatxaError:  # behind a gateway that hides it
            self.version = None

    # --- generation

    def generate(self, requests: Iterable[Request | None]) -> Iterator[tuple[int, Completion]]:
        iterator, more, place = iter(requests), True, 0
        done: SimpleQueue[tuple[int, Future[Completion]]] = SimpleQueue()
        under_way: dict[int, float] = {}  # the most that each may cost, by place
        waiting: Request | None = None  # pulled and not yet sent
        with self.server.sending() as (session, send):
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
                    cost = self._most(body)
                    if self.max_cost is not None and self.spent + sum(under_way.values()) + cost > self.max_cost:
                        if under_way:  # which may cost less than the most
                            break
                        raise self._spent_all()
                    future = send(self._complete(session, url, body))
                    future.add_done_callback(lambda future, place=place: done.put((place, future)))  # type: ignore[misc]
                    under_way[place] = cost
                    place, waiting = place + 1, None
                if under_way:
                    finished, future = done.get()
                    del under_way[finished]
                    yield finished, self._counted(future.result())

    def _most(self, body: dict[str, Any]) -> float:
        """Return what a request can cost at the most: a token of the prompt is a byte or more."""
        prompt = len(orjson.dumps(body.get("messages") or body["prompt"])) + TEMPLATE_TOKENS
        return self._cost(prompt, body["max_tokens"])

    def _spent_all(self) -> LatxaError:
        return LatxaError(
            f"`--max-cost {self.max_cost:g}` does not cover another request: {self.spent:,.6g} is spent in this run "
            f"({self.prompt_tokens:,} prompt and {self.completion_tokens:,} completion tokens)",
            hint="with `-o FILE`, `--resume` goes on from here, and counts from nothing again",
        )

    def _counted(self, completion: Completion) -> Completion:
        self.prompt_tokens += completion.prompt_tokens
        self.completion_tokens += completion.completion_tokens
        return completion

    async def _complete(self, session: aiohttp.ClientSession, url: URL, body: dict[str, Any]) -> Completion:
        try:
            try:
                return await self.server.ask(session, url, body, self._read)
            except Refusal as refusal:
                if not _too_long(refusal):
                    raise
            # It may refuse a prompt that fits because prompt and `max_tokens` together do not. What is left of the
            # context will do, and that is what a server gives that is told no number.
            return await self.server.ask(session, url, body | {"max_tokens": None}, self._read)
        except Refusal as refusal:
            if _too_long(refusal):
                return Completion("", "too long", 0, 0)
            if refusal.status == 400 and "messages" in body and REFUSED_TURNS.search(refusal.said):
                return Completion(refusal.said, "refused", 0, 0)
            raise

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
        if request.messages is not None:
            if request.thinking is not None:
                body["chat_template_kwargs"] = chat.thinking_switches(request.thinking)
            return url / "chat/completions", body | {"messages": request.messages}
        if request.text is not None:
            return url / "completions", body | {"prompt": self._plain(request.text)}
        # What a template wrote begins as it must. vLLM can be told so; others begin it themselves.
        prompt = request.prompt or ""
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

    def _read(self, answer: Any) -> Completion:
        """Return the completion of an answer; raises Passing or ValueError (see `Server.ask`)."""
        if isinstance(answer, dict) and answer.get("error"):
            raise Passing(f"answers an error: {self.server.quoted(str(answer['error']))}")
        choices = answer.get("choices") if isinstance(answer, dict) else None
        if not isinstance(choices, list):
            raise ValueError("there is no list of `choices`")
        if not choices:
            raise Passing("gave an empty list of choices")
        choice = choices[0]
        message = choice.get("message", {"content": choice.get("text", 0)}) if isinstance(choice, dict) else {}
        text = message.get("content", 0) if isinstance(message, dict) else 0
        if not isinstance(text, str | None):
            raise ValueError("the choice has no text")
        thought = message.get("reasoning") or message.get("reasoning_content")  # vLLM; SGLang, llama.cpp, DeepSeek
        if not isinstance(thought, str):
            thought, text = self._split_thought(text or "") if "message" in choice else ("", text)
        ending = choice.get("finish_reason")
        if not isinstance(ending, str) or ending not in ENDINGS:
            raise Passing(f"ended a text by `{self.server.quoted(str(ending))}`")
        reason = ENDINGS[ending]
        used = answer.get("usage") or {}
        prompt, completion = _count(used, "prompt_tokens"), _count(used, "completion_tokens")
        if self.max_cost is not None and not (
            _is_count(used, "prompt_tokens") and _is_count(used, "completion_tokens")
        ):
            raise ValueError("it does not say how many tokens it used (`usage`), so that `--max-cost` cannot be kept")
        if reason == "length" and used and not completion:  # the prompt is just as long as the context
            return Completion("", "too long", prompt, 0)
        return Completion(text or "", reason, prompt, completion, thought)

    def _split_thought(self, text: str) -> tuple[str, str]:
        """Return the thought and the answer in what a server wrote that does not part them itself."""
        if self.before_answer is not None:
            return chat.split_thought(text, self.before_answer)
        begun = text.lstrip().startswith(chat.START_OF_THINKING)
        return chat.split_thought(text) if begun else ("", text)


def _too_long(refusal: Refusal) -> bool:
    return refusal.status in (400, 413, 422) and bool(TOO_LONG.search(refusal.said))


def _count(used: Any, name: str) -> int:
    return int(used[name]) if _is_count(used, name) else 0


def _is_count(used: Any, name: str) -> bool:
    value = used.get(name) if isinstance(used, dict) else None
    return type(value) is int and value >= 0


def _models(answer: Any) -> list[dict[str, Any]]:
    entries = answer.get("data") if isinstance(answer, dict) else answer
    if not isinstance(entries, list) or not all(isinstance(e, dict) and isinstance(e.get("id"), str) for e in entries):
        raise ValueError("there is no list of models")
    return entries


def _version(answer: Any) -> str:
    if not isinstance(answer, dict) or not isinstance(answer.get("version"), str):
        raise ValueError("there is no `version`")
    version: str = answer["version"]
    return version
