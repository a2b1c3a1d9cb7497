"""What judging writes: battles between two models, and scores of one.

A battle by a judge that was asked holds both orders, so that who stood first decides nothing:

{"model_a", "model_b", "winner", "winner_content", "winner_language", "preference", "judge", …,
 "metadata": {"rubric", "scores": {"model_a": {criterion: mean}, "model_b": {…}},
              "orders": [{"first": "model_a", "winner", "scores", "answer"}, {"first": "model_b", …}]}}

`answer` is what the judge said, in which its reasons stand. `asked_again` is true where a judge gave its numbers only
when it was asked for them once more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latxa_cli.judging.rubric import Rubric
from latxa_cli.stream.records import Record, content_id

MODELS = ("model_a", "model_b")
SECOND = {"model_a": "model_b", "model_b": "model_a"}
Scores = Mapping[str, Mapping[str, float]]  # {"model_a" or "model_b": {criterion: number}}
KEPT = ("task", "language", "source")  # of a response, in its record of scores


def meeting_of(prompt_id: str, a: Record, b: Record, judge: str, **identity: str) -> Record:
    """Return a battle that has no winner yet; its `id` is the same whoever wins. `identity`: what else tells it apart
    from others."""
    meeting = {"prompt_id": prompt_id, "model_a": a["model"], "model_b": b["model"]}
    language = a.get("language") or b.get("language")
    return {
        "id": content_id(meeting | {"judge": judge, "winner": None} | identity),
        **meeting,
        "judge": judge,
        **({"language": language} if language else {}),
        "conversation_a": a["messages"],
        "conversation_b": b["messages"],
    }


def measured(battle: Record, rubric: Rubric, score_a: float, score_b: float, margin: float) -> Record:
    """Return the battle that two measured scores decide."""
    verdict = {
        "winner": winner_of(score_a, score_b, margin),
        **preference_of(score_a - score_b, rubric.preference_scale),
    }
    return _decided(battle, verdict) | {
        "metadata": {"scores": {"model_a": round(score_a, 4), "model_b": round(score_b, 4)}},
    }


@dataclass(frozen=True, slots=True)
class Order:
    """What a judge says of a pair in one order: scores, and its `answer`; `asked_again`: the scores came after it."""

    scores: Scores
    answer: str
    asked_again: bool = False


def asked_twice(battle: Record, rubric: Rubric, orders: Sequence[Order], margin: float) -> Record:
    """Return the battle that a judge decides who saw the pair in both orders, `model_a` first and `model_b` first.

    It is won where both orders say so; else it is a tie.
    """
    verdicts = rubric.verdicts or {}
    means = {
        model: {name: sum(order.scores[model][name] for order in orders) / 2 for name in orders[0].scores[model]}
        for model in MODELS
    }
    by_order = [
        {
            field: winner_of(order.scores["model_a"][name], order.scores["model_b"][name], margin)
            for field, name in verdicts.items()
        }
        for order in orders
    ]
    agreed = {field: by_order[0][field] if by_order[0][field] == by_order[1][field] else "tie" for field in verdicts}
    gap = means["model_a"][verdicts["winner"]] - means["model_b"][verdicts["winner"]]
    verdict = {
        **agreed,
        **preference_of(gap, rubric.preference_scale),
        **_again(any(order.asked_again for order in orders)),
    }
    return _decided(battle, verdict) | {
        "metadata": {
            "rubric": rubric.name,
            "scores": means,
            "orders": [
                {
                    "first": first,
                    "winner": winners["winner"],
                    "scores": {model: dict(order.scores[model]) for model in MODELS},
                    "answer": order.answer,
                }
                for first, winners, order in zip(MODELS, by_order, orders, strict=True)
            ],
        },
    }


def _decided(battle: Record, verdict: Mapping[str, object]) -> Record:
    """Return the battle with its verdict behind the models that it is about."""
    decided: Record = {}
    for name, value in battle.items():
        decided[name] = value
        if name == "model_b":
            decided.update(verdict)
    return decided


def winner_of(score_a: float, score_b: float, margin: float) -> str:
    """Return who has the higher score, or that a difference of at most `margin` is a tie."""
    return "tie" if abs(score_a - score_b) <= margin else "model_a" if score_a > score_b else "model_b"


def preference_of(gap: float, scale: float | None) -> dict[str, float]:
    """Return the probability that `model_a` is better, whose odds are e to 1 at a gap of `scale` points."""
    if scale is None:
        return {}
    return {"preference": round(1 / (1 + math.exp(-max(-700.0, min(700.0, gap / scale)))), 6)}


def scored(
    response: Record, rubric: Rubric, judge: str | None, scores: Mapping[str, float], *, answer: str = "",
    asked_again: bool = False,
) -> Record:  # fmt: skip
    """Return a record of scores of one response. `answer`: what the judge said."""
    model = response.get("model") or response.get("generator") or (response.get("metadata") or {}).get("model")
    kept: dict[str, Any] = {name: response[name] for name in KEPT if response.get(name) is not None}
    return {
        "id": response["id"],
        "rubric": rubric.name,
        **({"model": model} if isinstance(model, str) else {}),
        **({"judge": judge} if judge is not None else {}),
        "scores": dict(scores),
        **_again(asked_again),
        **kept,
        **({"metadata": {"answer": answer}} if answer else {}),
    }


def _again(asked_again: bool) -> dict[str, bool]:
    return {"asked_again": True} if asked_again else {}
