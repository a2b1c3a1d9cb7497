"""A newcomer in an arena: whom it meets, that nothing is judged twice, and where it stands in the human table."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import openai_server
import pytest
from aiohttp import web
from openai_server import OpenAIServer, answer
from tiny import Latxa, write_jsonl

from latxa_cli.arena.fits.bradley_terry import SCALE
from latxa_cli.arena.pairing import worth_by
from latxa_cli.judging.matching import FirstFile
from latxa_cli.judging.newcomers import Arena

MODELS = [f"m{number:02}" for number in range(12)]
STRENGTHS = dict(zip(MODELS, np.linspace(-1.5, 1.5, len(MODELS)).tolist(), strict=True)) | {"newcomer": 1.2}
PROMPTS = 500


def chat(prompt: str, said: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": said}]


def battle(prompt: str, a: str, b: str, winner: str = "tie", turns: str = "", **more: Any) -> dict[str, Any]:
    texts = {f"conversation_{side}": chat(turns or f"{prompt}?", f"of {model}") for side, model in (("a", a), ("b", b))}
    return {"prompt_id": prompt, "model_a": a, "model_b": b, "winner": winner, **texts, **more}


def response(name: str, turns: str = "", model: str = "new") -> dict[str, Any]:
    return {"id": name, "model": model, "messages": chat(turns or f"{name}?", "mine")}


def meetings(battles: list[dict[str, Any]], responses: list[dict[str, Any]], most: int = 1, seed: int = 0) -> Any:
    arena = Arena.of("votes.jsonl", battles)
    worth = worth_by(battles)
    return arena, list(
        arena.meetings(responses, worth, most, {}, seed, needs_reference=False, first=FirstFile())
    )  # fmt: skip


def met(meeting: Any) -> list[str]:
    return [one["model"] for one in meeting.responses[1:]]


def test_a_response_meets_answers_to_its_prompt_by_id_or_by_turns() -> None:
    battles = [battle("p", "a", "b"), battle("q", "b", "c"), battle("p", "c", "a")]
    _, [one, two, none] = meetings(battles, [response("p"), response("own", "q?"), response("z")], most=9)
    assert (one.prompt_id, sorted(met(one))) == ("p", ["a", "b", "c"])
    assert (two.prompt_id, sorted(met(two))) == ("q", ["b", "c"])
    assert one.pairs == [(0, 1), (0, 2), (0, 3)], "stored answers do not meet each other"
    assert [reject.reason for reject in none.rejects] == ["no partner"]
    assert one.responses[1]["messages"][-1]["content"] == f"of {one.responses[1]['model']}"


def test_published_arenas_call_the_id_of_a_prompt_otherwise() -> None:
    """`question_id`, which may be a number; the newcomer may have it as `id`, or beside an id of its own."""
    votes = [{**battle("", *pair, turns=f"{n}?"), "question_id": n} for n, pair in enumerate(("ab", "bc", "cd"))]
    votes = [{name: value for name, value in vote.items() if name != "prompt_id"} for vote in votes]
    asked = [response("0"), response("mine", "1?") | {"question_id": 1}, response("other", "2?"), response("z", "9?")]
    arena, [one, two, three, none] = meetings(votes, asked, most=9)
    assert not arena.unused and [one.prompt_id, two.prompt_id, three.prompt_id] == ["0", "1", "2"]
    assert [sorted(met(each)) for each in (one, two, three)] == [["a", "b"], ["b", "c"], ["c", "d"]]
    assert [reject.record["id"] for reject in none.rejects] == ["z"]
    _, [wrong] = meetings(votes, [response("mine", "Zer?") | {"question_id": 1}])
    assert [(reject.reason, reject.record["id"]) for reject in wrong.rejects] == [("different prompts", "mine")]


def test_another_prompt_under_the_same_id_is_no_meeting() -> None:
    _, [one] = meetings([battle("p", "a", "b")], [response("p", "Zer?")])
    assert one.rejects[0].reason == "different prompts" and "'Zer?', and 'p?' there" in one.rejects[0].detail


def test_battles_without_two_answers_to_one_prompt_are_counted() -> None:
    odd = [
        {**battle("p", "a", "b"), "conversation_b": None},
        {**battle("p", "a", "b"), "conversation_b": chat("another?", "x")},
        {**battle("p", "a", "b"), "conversation_b": chat("p?", "x")[:1]},
        {**battle("p", "a", "b"), "conversation_b": ["x"]},
        battle("p", "a", "a"),
        battle("q", "a", "b"),
        battle("q", "a", "c", turns="not q?"),
    ]
    arena, [one] = meetings(odd, [response("q")], most=9)
    assert arena.unused == 6 and sorted(met(one)) == ["a", "b"]


def test_what_was_judged_is_not_judged_again_and_a_model_does_not_meet_itself() -> None:
    battles = [battle("p", "a", "b"), battle("p", "new", "a"), battle("q", "new", "a")]
    _, [one, two] = meetings(battles, [response("p"), response("q")], most=9)
    assert met(one) == ["b"] and [reject.reason for reject in two.rejects] == ["no opponent"]


def test_draws_depend_on_the_seed_and_the_response_alone() -> None:
    battles = [battle(f"p{n}", "a", "b") for n in range(60)]
    responses = [response(f"p{n}") for n in range(60)]
    drawn = [met(one) for one in meetings(battles, responses)[1]]
    assert [met(one) for one in meetings(battles[::-1], responses[::-1])[1]][::-1] == drawn
    assert [met(one) for one in meetings(battles, responses, seed=1)[1]] != drawn
    assert 15 < drawn.count(["a"]) < 45


def test_a_model_with_many_answers_does_not_meet_more_often() -> None:
    """`a` answered every prompt, and each other model one in eight; who is as strong is to be met as often."""
    battles = [battle(f"p{n}", "a", f"b{n % 8}") for n in range(800)]
    counts = Counter(met(one)[0] for one in meetings(battles, [response(f"p{n}") for n in range(800)])[1])
    assert counts["a"] < 130 and min(counts[f"b{n}"] for n in range(8)) > 60


def test_what_a_battle_tells_is_the_mean_information_over_the_gap() -> None:
    """Of a model that never met, the gap is as uncertain as the prior and the other's strength together."""
    battles = [battle("p", one, other) for one, other in ("ab", "bc") for _ in range(500)]
    told = worth_by(battles)("new")
    gap = np.linspace(-12, 12, 4001)
    density = np.exp(-(gap**2) / 2 / 1.34) / np.sqrt(2 * np.pi * 1.34)  # three even models share a prior of 1 each
    expected = float((density / (2 + 2 * np.cosh(gap))).sum() * (gap[1] - gap[0]))
    assert told == pytest.approx(dict.fromkeys("abc", expected), rel=2e-3)


def test_once_its_strength_is_known_near_models_tell_more() -> None:
    battles = [
        battle("p", one, other, winner)
        for one, other, wins in (("a", "b", 30), ("b", "c", 30), ("new", "a", 20), ("new", "b", 30))
        for winner in ["model_a"] * wins + ["model_b"] * (40 - wins)
    ]
    told = worth_by(battles)("new")
    assert told["a"] > told["b"] > told["c"] > 0.05


# --- the verb and the table


def worth_of(model: str, draw: np.random.Generator) -> str:
    """An answer that tells its own worth: with Gumbel's noise, the better one wins as Bradley and Terry say."""
    return f"worth {STRENGTHS[model] + draw.gumbel():.9f}"


async def by_worth(request: web.Request, body: Any) -> web.StreamResponse | None:
    if body is None:
        return None
    worth = [float(number) for number in re.findall(r"worth (-?[0-9.]+)", body["messages"][-1]["content"])]
    numbers = (7, 4) if worth[0] > worth[1] else (4, 7)
    said = " ".join(
        f"<{name}_{side}>{number}</{name}_{side}>"
        for name in ("content", "language", "overall") for side, number in zip("ab", numbers, strict=True)
    )  # fmt: skip
    return web.json_response(answer(body, message={"role": "assistant", "content": said}))


@pytest.fixture
def arena(tmp_path: Path) -> Path:
    """A folder with the votes of people on two of twelve models a prompt, and a newcomer's answers to all prompts."""
    draw = np.random.default_rng(5)
    votes, answers = [], []
    for number in range(PROMPTS):
        a, b = draw.choice(MODELS, 2, replace=False).tolist()
        said = {model: worth_of(model, draw) for model in (a, b)}
        sides = zip("ab", (a, b), strict=True)
        winner = "model_a" if float(said[a].split()[1]) > float(said[b].split()[1]) else "model_b"
        votes.append({
            "prompt_id": f"p{number}", "user": f"u{number % 80}", "model_a": a, "model_b": b, "winner": winner,
            **{f"conversation_{side}": chat(f"Question {number}?", said[model]) for side, model in sides},
        })  # fmt: skip
        turns = chat(f"Question {number}?", worth_of("newcomer", draw))
        answers.append({"id": f"p{number}", "model": "newcomer", "messages": turns})
    write_jsonl(tmp_path / "votes.jsonl", votes)
    write_jsonl(tmp_path / "new.jsonl", answers)
    write_jsonl(tmp_path / "some.jsonl", answers[:100])
    return tmp_path


def lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def test_a_newcomer_stands_in_the_human_table(latxa: Latxa, arena: Path) -> None:
    words = ("--rubric", "pairwise", "--judge", openai_server.MODEL)
    with OpenAIServer(by_worth) as server:
        call = (*words, "--base-url", server.url, "--arena", "votes.jsonl")
        first = latxa("judge", "some.jsonl", *call, "-o", "first.jsonl", cwd=arena)
        again = latxa("judge", "new.jsonl", *call, "--arena", "first.jsonl", "-o", "battles.jsonl", cwd=arena)
        shards = [latxa("judge", "some.jsonl", *call, "--shard", f"{n}/3", cwd=arena).stdout for n in range(3)]
    assert first.returncode == again.returncode == 0, again.stderr
    one, two = (lines((arena / f"{name}.jsonl").read_bytes()) for name in ("first", "battles"))
    assert sorted(map(str, lines(b"".join(shards)))) == sorted(map(str, one))
    assert {each["model_a"] for each in one + two} == {"newcomer"} and len(one) == 100 and len(two) == PROMPTS
    pairs = [{(each["prompt_id"], each["model_b"]) for each in some} for some in (one, two)]
    assert not pairs[0] & pairs[1], "no pair twice"
    assert {each["model_b"] for each in two} == set(MODELS), "it meets all"

    def distance(battles: list[dict[str, Any]]) -> float:
        return float(np.mean([abs(STRENGTHS["newcomer"] - STRENGTHS[each["model_b"]]) for each in battles]))

    assert distance(two) < distance(one) - 0.1, "and those near in rating more often, once it has a rating"
    rated = latxa("arena-score", "votes.jsonl", "first.jsonl", "battles.jsonl", "--rounds", "200", cwd=arena)
    assert rated.returncode == 0, rated.stderr
    board = {each["model"]: each for each in lines(rated.stdout) if "rating" in each}
    assert set(board) == set(STRENGTHS) and not any("island" in each for each in board.values())
    truth = 1000 + SCALE * (STRENGTHS["newcomer"] - np.mean(list(STRENGTHS.values())))
    newcomer = board["newcomer"]
    assert newcomer["lower"] < truth < newcomer["upper"] and newcomer["upper"] - newcomer["lower"] < 100
    assert newcomer["battles"] == 600


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("some.jsonl", "new.jsonl", "--arena", "votes.jsonl"), "`--arena` takes one file"),
        (("some.jsonl", "--rubric", "curate", "-j", "m", "--arena", "votes.jsonl"), "`--arena` takes one file"),
        (("some.jsonl", "new.jsonl", "--battles", "2"), "`--battles` needs `--arena`"),
    ],
)
def test_what_no_newcomer_can_do(latxa: Latxa, arena: Path, words: tuple[str, ...], said: str) -> None:
    done = latxa("judge", *words, cwd=arena)
    assert done.returncode == 2 and said in done.stderr.decode()


def test_an_arena_without_conversations_is_said_to_be_one(latxa: Latxa, arena: Path) -> None:
    write_jsonl(arena / "bare.jsonl", [{"model_a": "a", "model_b": "b", "winner": "tie", "prompt_id": "p1"}])
    done = latxa("judge", "some.jsonl", "--arena", "bare.jsonl", cwd=arena)
    assert done.returncode == 1 and b"1 battles of `--arena` hold no two answers to one prompt: not used" in done.stderr
