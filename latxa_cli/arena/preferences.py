"""Preference pairs out of battles that hold conversations, in the field's usual form, for DPO or a reward model.

`latxa preferences battles.jsonl > pairs.jsonl`

{"id", "prompt_id", "prompt": [messages], "chosen": [messages], "rejected": [messages], "metadata"}, which is TRL's
conversational preference format. The prompt is what both conversations begin with; `chosen` and `rejected` follow from
the first turn in which they differ, an answer, up to the end. System turns that differ are left out: the voter saw one
prompt and two answers. Every vote gives a pair of its own: where users disagree on a prompt the pairs contradict each
other, and how often is what such training learns from.

With corrections, a pair is an answer as a voter corrected it (`chosen`), and as the model wrote it (`rejected`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from latxa_cli.arena.filters import Filter, rejection
from latxa_cli.chat.counted import counts, is_empty_answer
from latxa_cli.chat.given import OF_RECORDS, OTHERS_OF_RECORDS, THOUGHTS
from latxa_cli.stream.checks import checker
from latxa_cli.stream.reader import Identifier, name_of
from latxa_cli.stream.records import CALL_FIELDS, PICTURES, JsonObject, Record, Reject, user_turns
from latxa_cli.stream.spellings import field_text, spelled

NO_PAIR = {"tie": "tie", "tie (bothbad)": "both bad"}
SAID = ("role", "content", *THOUGHTS, *CALL_FIELDS, "tool_call_id", "name", *PICTURES)  # fields of messages in pairs
BESIDE = (*OF_RECORDS, *OTHERS_OF_RECORDS)  # of battles
LOSER = {"model_a": "model_b", "model_b": "model_a"}

Messages = list[JsonObject]


def preferences(
    battles: Iterable[Record],
    criterion: str = "winner",
    filters: Sequence[Filter] = (),
    written: Iterable[Record] = (),
    *,
    corrections: bool = False,
) -> Iterator[Record | Reject]:
    """Yield a preference pair for each of `battles`, or a Reject that says why there is none.

    corrections: pairs are made of what voters corrected, and not of what they prefer.

    A pair has the battle's id, else a hash of its messages, with a number where `written` pairs or those before have
    the same. `prompt_id`, and in `metadata` `user` and `judge`, are null where the battle has none, so that all pairs
    have the same columns. Reasons of a Reject, beside those of the `filters`: "no verdict", "skipped",
    "unknown verdict", "tie", "both bad", "no conversations", "malformed conversation", "no response" (a conversation
    that does not end with the assistant), "different prompts", "same response", "empty answer" (the one to be chosen),
    "answer kept from training" (by its `weight` or the like); "no correction", "malformed correction".
    """
    identifier = Identifier()
    for pair in written:
        name, _ = name_of({field: value for field, value in pair.items() if field != "id"})
        if pair["id"].partition("-")[0] == name:
            identifier.unique(name)
    for battle in battles:
        outcome = rejection(filters, battle) or (_corrected(battle) if corrections else _pair(battle, criterion))
        yield outcome if isinstance(outcome, Reject) else identifier.identify(outcome)


def _pair(battle: Record, criterion: str) -> Record | Reject:
    winner = battle.get(criterion)
    if winner is None:
        return Reject(battle, "skipped" if battle.get("skipped") is True else "no verdict", f"no `{criterion}`")
    if type(winner) is not str or winner not in LOSER:
        known = type(winner) is str and winner in NO_PAIR
        return Reject(battle, NO_PAIR[winner] if known else "unknown verdict", f"`{criterion}` is {str(winner)[:40]!r}")
    loser = LOSER[winner]
    fields = {model: model.replace("model", "conversation") for model in (winner, loser)}
    missing = next((name for name in fields.values() if battle.get(name) is None), "")
    if missing:
        return Reject(battle, "no conversations", f"no `{missing}`")
    try:
        won, lost = (_messages(battle, name) for name in fields.values())
    except ValueError as error:
        return Reject(battle, "malformed conversation", str(error))
    if not counts(last := battle[fields[winner]][-1]) and not is_empty_answer(last):
        return Reject(battle, "answer kept from training", f"the last message of `{fields[winner]}`")
    parted = _parted(battle, won, lost)
    return parted if isinstance(parted, Reject) else _record(battle, parted, (winner, loser), criterion)


def _corrected(battle: Record) -> Record | Reject:
    correction = battle.get("correction")
    if correction is None:
        return Reject(battle, "no correction")
    side, content = (correction.get(name) for name in ("side", "content"))
    if type(side) is not str or side not in LOSER or type(content) is not str:
        return Reject(
            battle, "malformed correction", "`correction` has no `side` (`model_a`, `model_b`) or no `content`"
        )
    field = side.replace("model", "conversation")
    if battle.get(field) is None:
        return Reject(battle, "no conversations", f"no `{field}`")
    try:
        given = _messages(battle, field)
    except ValueError as error:
        return Reject(battle, "malformed conversation", str(error))
    parted = _parted(battle, [*given[:-1], {"role": "assistant", "content": content}], given)
    return parted if isinstance(parted, Reject) else _record(battle, parted, (side, side), "correction")


def _record(
    battle: Record, parted: tuple[Messages, Messages, Messages], sides: tuple[str, str], criterion: str
) -> Record:
    prompt, chosen, rejected = parted
    identity = battle.get("id")
    return {
        **({"id": identity} if identity and type(identity) in (str, int) else {}),
        "prompt_id": _text(battle.get("prompt_id")),
        "prompt": prompt,
        "chosen": chosen,
        "rejected": rejected,
        **{name: battle[name] for name in BESIDE if battle.get(name)},
        "metadata": {
            "model_chosen": battle[sides[0]],
            "model_rejected": battle[sides[1]],
            "criterion": criterion,
            "user": field_text(spelled(battle, "user")[1]),
            "judge": _text(battle.get("judge")),
        },
    }


def _parted(battle: Record, won: Messages, lost: Messages) -> tuple[Messages, Messages, Messages] | Reject:
    """Return what both conversations begin with, and how each goes on."""
    if won[-1]["role"] != "assistant" or lost[-1]["role"] != "assistant":
        return Reject(battle, "no response", "a conversation does not end with the assistant")
    if _of_system(won) != _of_system(lost):
        won, lost = ([turn for turn in turns if turn["role"] != "system"] for turns in (won, lost))
    if won == lost:
        return Reject(battle, "same response")
    shared = sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(won, lost, strict=False)))
    prompt, chosen, rejected = won[:shared], won[shared:], lost[shared:]
    if user_turns(won) != user_turns(lost):
        return Reject(battle, "different prompts", "the user turns are not the same")
    roles = [rest[0]["role"] for rest in (prompt[::-1], chosen, rejected) if rest]
    if roles[:1] not in (["user"], ["tool"]) or roles[1:] != ["assistant", "assistant"]:
        return Reject(
            battle, "different prompts", f"message {shared + 1}, where they part, is no answer to a user or a tool"
        )
    if any(map(is_empty_answer, chosen)):
        return Reject(battle, "empty answer", "a model would learn to say nothing")
    return prompt, chosen, rejected


def _of_system(messages: Messages) -> Messages:
    return [turn for turn in messages if turn["role"] == "system"]


def _messages(battle: Record, name: str) -> Messages:
    """Return a conversation's messages with what is said in them, and nothing that is noted beside (`tokens`).

    Raises ValueError.
    """
    try:
        checker("conversation")({"messages": battle[name]})
    except ValueError as error:
        raise ValueError(f"`{name}`: {error}") from None
    return [
        {
            field: value
            for field, value in message.items()
            if field in SAID and (value is not None or field == "content")
        }
        for message in battle[name]
    ]


def _text(value: object) -> str | None:
    return None if value is None else str(value)
