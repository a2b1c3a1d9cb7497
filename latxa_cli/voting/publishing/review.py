"""Texts with personal data: a person decides on each of them, once, wherever it stands.

The queue of texts to decide on is JSONL, and so are the decisions: the same lines with a `decision` in them.

    {"id": hash of the text, "text", "findings": [{"kind", "text"}], "votes": how many hold it, "decision": null}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from latxa_cli.stream.errors import LatxaError, nearest
from latxa_cli.stream.records import JsonObject, Record, content_id, user_turns
from latxa_cli.text.personal import Finding, covered, findings

DECISIONS = ("publish", "cover", "leave out")
TEXTS_HELD = 20_000  # whose findings are remembered: a response stands in many votes
# Names and numbers of our own; and pieces of texts that stand elsewhere in the vote.
_NO_TEXT = frozenset(("id", "prompt_id", "timestamp", "model_a", "model_b", "errors"))


class Review:
    """What people decided on texts, by the id of the text, and what is still to be decided (`queue`).

    decided: entries of queues, each with the name of its file; raises LatxaError for a decision that is none.
    """

    def __init__(self, decided: Iterable[tuple[str, Record]] = ()) -> None:
        self._decisions: dict[str, str] = {}
        self._queue: dict[str, JsonObject] = {}
        for file, entry in decided:
            decision = entry.get("decision")
            if decision is None:
                continue
            if decision not in DECISIONS:
                hint = nearest(str(decision), list(DECISIONS)) or ", ".join(f"`{one}`" for one in DECISIONS)
                raise LatxaError(f"{file}: `{entry['id']}`: there is no decision `{str(decision)[:40]}`", hint=hint)
            self._decisions[entry["id"]] = decision

    @property
    def queue(self) -> list[JsonObject]:
        """The texts that wait for a decision, those that most votes hold first."""
        return sorted(self._queue.values(), key=lambda entry: -entry["votes"])

    def decide(self, vote: Record) -> tuple[str, Record]:
        """Return the decision on a vote, and the vote as it may be published; "" where it waits for a person."""
        found = {text: _found(text) for text in set(_texts(vote))}
        odd = {text: _name(text) for text, these in found.items() if these}
        decisions = {self._decisions.get(name, "") for name in odd.values()}
        if "leave out" in decisions:
            return "leave out", vote
        for text, name in odd.items():
            if name not in self._decisions:
                self._wait(name, text, found[text])
        if "" in decisions:
            return "", vote
        cover = {text: covered(text, found[text]) for text, name in odd.items() if self._decisions[name] == "cover"}
        return "publish", _covered(vote, cover) if cover else vote

    def _wait(self, name: str, text: str, found: list[Finding]) -> None:
        entry = self._queue.setdefault(
            name,
            {
                "id": name,
                "text": text,
                "findings": [{"kind": one.kind, "text": text[one.start : one.end]} for one in found],
                "votes": 0,
                "decision": None,
            },
        )
        entry["votes"] += 1


@lru_cache(maxsize=TEXTS_HELD)
def _found(text: str) -> list[Finding]:
    return findings(text)


def _name(text: str) -> str:
    return content_id({"text": text})


def _texts(vote: Record) -> Iterator[str]:
    for name, value in vote.items():
        if name not in _NO_TEXT:
            yield from _strings(value)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def _covered(vote: Record, texts: Mapping[str, str]) -> Record:
    """Return a vote with other texts, and with the marked words as they stand there."""
    made: Record = {name: value if name in _NO_TEXT else _replaced(value, texts) for name, value in vote.items()}
    if isinstance(vote.get("errors"), dict):
        made["errors"] = {
            side: [_as_there(span, made[side.replace("model", "conversation")]) for span in spans]
            for side, spans in vote["errors"].items()
        }
    if vote.get("prompt_id") is not None and vote["prompt_id"] == _hash_of_prompt(vote):
        made["prompt_id"] = _hash_of_prompt(made)
    return made


def _hash_of_prompt(vote: Record) -> str | None:
    """Return the id of a prompt that has its hash for one: who guesses what was covered could check it by that."""
    messages = vote.get("conversation_a")
    return content_id({"turns": user_turns(messages)}) if messages else None


def _replaced(value: object, texts: Mapping[str, str]) -> object:
    if isinstance(value, str):
        return texts.get(value, value)
    if isinstance(value, dict):
        return {name: _replaced(part, texts) for name, part in value.items()}
    return [_replaced(part, texts) for part in value] if isinstance(value, list) else value


def _as_there(span: JsonObject, messages: list[Record]) -> JsonObject:
    return span | {"text": messages[span["turn"]]["content"][span["start"] : span["end"]]}
