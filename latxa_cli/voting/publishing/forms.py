"""Field names of published arenas, so that what reads their data reads ours.

What they have no field for keeps its name here. Fields that they have and we do not know are not there.

    ebaluatoia   HiTZ/ebaluatoia: the arena of *Instructing Large Language Models for Low-Resource Languages*
    lmarena      lmarena-ai/arena-human-preference-140k
    comparia     ministere-culture/comparia-votes
"""

from __future__ import annotations

from collections.abc import Callable

from latxa_cli.stream.records import JsonObject, Record

BOTH_BAD = "tie (bothbad)"
CRITERIA = ("winner", "winner_content", "winner_language")
# The reasons of our page for which compar:IA has a question.
COMPARIA_REASONS = {
    "useful": "useful", "complete": "complete", "wrong": "incorrect", "ignored": "instructions_not_followed",
}  # fmt: skip


def _latxa(vote: Record) -> Record:
    return vote


def _ebaluatoia(vote: Record) -> Record:
    """It has one label for ties; whether both answers were bad stands beside it."""
    made = _renamed(vote, {"user": "username", "conversation_a": "conv_a", "conversation_b": "conv_b"})
    made |= {name: "tie" for name in CRITERIA if vote.get(name) == BOTH_BAD}
    return made | {"both_bad": vote.get("winner") == BOTH_BAD}


def _lmarena(vote: Record) -> Record:
    """Its messages have parts, such as texts and pictures; `full_conversation` has both sides of each turn."""
    made = _renamed(vote, {"user": "evaluation_session_id"})
    made |= {name: "both_bad" for name in CRITERIA if vote.get(name) == BOTH_BAD}
    sides = [[_in_parts(turn) for turn in vote.get(f"conversation_{side}") or []] for side in ("a", "b")]
    made |= {f"conversation_{side}": turns for side, turns in zip(("a", "b"), sides, strict=True) if turns}
    one, other = ([turn for turn in turns if turn["role"] != "system"] for turns in sides)
    whole = [
        {"user": asked, "model_side_a": first, "model_side_b": second}
        for asked, first, second in zip(one[::2], one[1::2], other[1::2], strict=False)
    ]
    return made | {"evaluation_order": 1, "full_conversation": whole}


def _in_parts(turn: Record) -> Record:
    return turn | {"content": [{"type": "text", "text": turn["content"], "image": None, "mimeType": None}]}


def _comparia(vote: Record) -> Record:
    """`winner` stays, since a tie of both kinds is `both_equal` there."""
    names = {"model_a": "model_a_name", "model_b": "model_b_name", "id": "conversation_pair_id", "user": "visitor_id"}
    made = _renamed(vote, names)
    reasons = {side: said or [] for side, said in (made.pop("reasons", None) or {}).items()}
    for side in ("a", "b"):
        turns = vote.get(f"conversation_{side}") or []
        made[f"conversation_{side}"] = [turn for turn in turns if turn["role"] != "system"]
        made[f"system_prompt_{side}"] = next((turn["content"] for turn in turns if turn["role"] == "system"), None)
        said = reasons.get(f"model_{side}", [])
        made |= {f"conv_{theirs}_{side}": ours in said for ours, theirs in COMPARIA_REASONS.items()}
        made |= {"reasons": reasons} if set().union(*reasons.values()) - COMPARIA_REASONS.keys() else {}
    if isinstance(vote.get("errors"), dict):
        made["errors"] = {
            side: [_without_system(vote, side, one) for one in found] for side, found in vote["errors"].items()
        }
    asked = [turn["content"] for turn in made["conversation_a"] if turn["role"] == "user"]
    winner = vote.get("winner")
    return made | {
        "model_pair_name": sorted([vote["model_a"], vote["model_b"]]),
        "chosen_model_name": vote[winner] if winner in ("model_a", "model_b") else None,
        "both_equal": winner in ("tie", BOTH_BAD),
        "opening_msg": asked[0] if asked else None,
        "conv_turns": len(asked),
    }


def _without_system(vote: Record, side: str, span: JsonObject) -> JsonObject:
    """Return a span of a conversation that has its system turns elsewhere."""
    before = vote[side.replace("model", "conversation")][: span["turn"]]
    return span | {"turn": sum(turn["role"] != "system" for turn in before)}


def _renamed(vote: Record, names: dict[str, str]) -> JsonObject:
    return {names.get(name, name): value for name, value in vote.items()}


FORMS: dict[str, Callable[[Record], Record]] = {
    "latxa": _latxa, "ebaluatoia": _ebaluatoia, "lmarena": _lmarena, "comparia": _comparia,
}  # fmt: skip
# What `arena-score` is to be told of each.
READ_BY = {
    "latxa": "",
    "ebaluatoia": "",
    "lmarena": ' --column user=evaluation_session_id --label "tie (bothbad)=both_bad"',
    "comparia": " --column model_a=model_a_name --column model_b=model_b_name --column user=visitor_id",
}
