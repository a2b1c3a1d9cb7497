"""The parts of a poll: which pair comes next, what a vote says, what a ballot tells, and the words of the page."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest
from poll_server import MODELS, responses

from latxa_cli.arena.votes import VERDICTS as ARENA_VERDICTS
from latxa_cli.arena.votes import collapsed
from latxa_cli.stream.tables import load_toml, names_in
from latxa_cli.voting.ballots import ContestBallots
from latxa_cli.voting.choice import Seen, Showing, next_showing
from latxa_cli.voting.contest import Contest, contest_of
from latxa_cli.voting.page import BROWSER, LANGUAGES, OF_PROGRAM, words_of
from latxa_cli.voting.remarks import REASONS, Remarks
from latxa_cli.voting.verdicts import VERDICTS, Answers, contradict, suspicion

KEY = bytes(range(32))


def contest(prompts: int = 6, models: tuple[str, ...] = MODELS) -> Contest:
    return contest_of(itertools.chain.from_iterable(responses(model, prompts) for model in models))


def test_pairs_prompts_and_orders_are_balanced() -> None:
    poll, seen, random = contest(), Seen(), Random(1)
    for number in range(360):
        showing = next_showing(poll, seen, f"u{number % 30}", random)
        assert showing is not None
        seen.add(f"u{number % 30}", showing)
    assert set(seen.pairs.values()) == {120}
    assert len(seen.meetings) == 18 and all(14 <= votes <= 26 for votes in seen.meetings.values())
    for one, other in itertools.combinations(MODELS, 2):
        assert abs(seen.orders[one, other] - seen.orders[other, one]) <= 10
    assert all(len({prompt for prompt, _ in of_user}) == 6 for of_user in seen.by_user.values())


def test_pairs_that_are_wanted_come_first_once_for_each_vote() -> None:
    poll, seen, random = contest(), Seen(), Random(4)
    one, other, third = (tuple(sorted(pair)) for pair in itertools.combinations(MODELS, 2))
    seen.wanted = [third, one, third]  # type: ignore[list-item]
    shown = []
    for number in range(4):
        showing = next_showing(poll, seen, f"u{number}", random)
        assert showing is not None
        shown.append(showing.pair)
        seen.add(f"u{number}", showing, skipped=number == 0, wanted=True)  # what was skipped is still wanted
    assert shown == [third, third, one, third] and seen.wanted == []
    found = next_showing(poll, seen, "u9", random)
    assert found is not None and found.pair == other
    seen.wanted = [other]
    seen.add("u9", found)  # a vote that was cast for other pairs
    assert seen.wanted == [other]


def test_nobody_can_tell_which_model_comes_first() -> None:
    """Of two models, who was first last time is first again in a third of the cases or more."""
    poll, seen, random, firsts = contest(400, MODELS[:2]), Seen(), Random(2), []
    for _ in range(400):
        showing = next_showing(poll, seen, "u", random)
        assert showing is not None
        firsts.append(showing.first)
        seen.add("u", showing)
    again = sum(one == other for one, other in itertools.pairwise(firsts)) / 399
    assert 0.3 < again < 0.55
    assert abs(Counter(firsts)[MODELS[0]] - 200) < 15


def test_a_voter_sees_all_pairs_once_and_then_nothing() -> None:
    poll, seen, random = contest(2), Seen(), Random(3)
    prompts = []
    while showing := next_showing(poll, seen, "u", random):
        prompts.append(showing.prompt)
        seen.add("u", showing)
    assert set(seen.by_user["u"].values()) == {1} and len(prompts) == 2 * 3
    assert all(set(prompts[n : n + 2]) == {"p0", "p1"} for n in (0, 2, 4))


def test_responses_without_common_ids_meet_by_what_the_user_said() -> None:
    ours, theirs = responses("a"), responses("b")
    for number, record in enumerate(theirs):
        record["id"] = f"other-{number}"
    poll = contest_of([*ours, *reversed(theirs)])
    assert len(poll.answers) == 6 and not set(poll.answers) & {record["id"] for record in ours + theirs}
    for of_prompt in poll.answers.values():
        assert of_prompt["a"]["messages"][1] == of_prompt["b"]["messages"][1]


def test_a_ballot_tells_nothing_and_belongs_to_one_voter() -> None:
    poll = contest()
    ballots, others = ContestBallots(poll, KEY), ContestBallots(poll, bytes(32))
    for first, second in itertools.permutations(MODELS, 2):
        ballot = ballots.issue("u", Showing("p3", first, second), 1_800_000_000)
        slip = ballots.slip(ballot)
        assert ballots.read({"ballot": slip}, "u") == ballot
        assert ballots.read({"ballot": slip}, "v") is None and others.read({"ballot": slip}, "u") is None
        assert re.fullmatch(r"[0-9a-f]{24}\.1800000000\.[0-9a-f]{16}\.[0-9a-f]{32}", slip)
    assert ballots.pseudonym("c") == ballots.pseudonym("c") != others.pseudonym("c")
    fewer = ContestBallots(contest(2), KEY)  # other inputs: the ballot is of a prompt that is not there
    assert fewer.read({"ballot": slip}, "u") is None


def test_the_verdict_on_the_whole_is_that_of_the_paper() -> None:
    number = {verdict: ARENA_VERDICTS.index(VERDICTS[verdict]) for verdict in VERDICTS}
    for content, language in itertools.product(VERDICTS, repeat=2):
        for overall in VERDICTS if contradict(content, language) else (None,):
            body = {"content": content, "language": language} | ({"overall": overall} if overall else {})
            winner = Answers.of(body).winner
            given = [np.array([-1 if one is None else number[one]]) for one in (overall, content, language)]
            assert number[winner] == collapsed(*given)[0]


def test_careless_votes_are_marked() -> None:
    def of(seconds: float, seen: bool) -> Answers:
        return Answers({"content": "tie", "language": "tie"}, Remarks({}), seconds, seen)

    assert suspicion(of(60, True), 600) == []
    assert suspicion(of(60, False), 600) == ["unseen"]
    assert suspicion(of(20, False), 600) == ["unseen", "fast"]
    assert suspicion(of(0.9, True), 3) == ["fast"]


# --- the words of the page -------------------------------------------------------------------------------------------

WANTED = {"eu", "ca", "gl", "cy", "ga", "is", "en", "es", "fr"}


def test_the_languages_are_there() -> None:
    assert set(names_in(LANGUAGES)) >= WANTED


@pytest.mark.parametrize("language", names_in(LANGUAGES))
def test_a_language_has_all_words_in_the_order_of_english(language: str) -> None:
    words, english = words_of(language), load_toml(LANGUAGES / "en.toml")
    assert list(words) == list(english) and words["code"] == language
    assert all(re.findall(r"\{\w+\}", words[key]) == re.findall(r"\{\w+\}", english[key]) for key in english)
    same = {key for key in english if words[key] == english[key] and len(english[key]) > 8}
    assert language == "en" or not same


def test_every_word_is_shown() -> None:
    places = set(re.findall(r"\{\{(\w+)\}\}", (BROWSER / "index.html").read_text()))
    assert (
        places - {"words", "poll", "agreed", "consent", "modes", "questions", "table_from"} | set(OF_PROGRAM)
        == load_toml(LANGUAGES / "en.toml").keys()
    )
    program = "".join(path.read_text() for path in BROWSER.glob("*.js"))
    assert set(re.findall(r"\bwords\.(\w+)", program)) == set(OF_PROGRAM)
    assert set(re.findall(r'data-reason="(\w+)"', (BROWSER / "index.html").read_text())) == set(REASONS)


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for path in BROWSER.iterdir():
        assert not re.search(r"https?:|//[a-z]|innerHTML|insertAdjacent|document\.write|eval\(", _code(path)), path


def _code(path: Path) -> str:
    """Return a file without its comments."""
    return re.sub(r"^\s*//.*$|/\*.*?\*/", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


def test_colours_have_the_contrast_that_people_need() -> None:
    """WCAG 2.2, 1.4.3 and 1.4.11, with its formula of relative luminance."""
    style = (BROWSER / "vote.css").read_text()
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#\w+)", block)) for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    )
    for colours in (light, dark):
        text = [("ink", "paper"), ("quiet", "paper"), ("ink", "tint"), ("on-mark", "mark"), ("on-note", "note")]
        assert [pair for pair in [*text, ("quiet", "tint")] if _contrast(*(colours[one] for one in pair)) < 4.5] == []
        assert _contrast(colours["line"], colours["paper"]) >= 3 <= _contrast(colours["mark"], colours["paper"])


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
        parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)
