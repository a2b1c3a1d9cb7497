"""From what a voter answered to a battle.

The questions are those of *Instructing Large Language Models for Low-Resource Languages* (section on the arena): whose
content is better, whose language is better, and, only where these contradict each other, who is better on the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from latxa_cli import __version__
from latxa_cli.stream.records import JsonObject, Record
from latxa_cli.voting.ballots import Ballot
from latxa_cli.voting.remarks import SIDES, BadVoteError, Remarks

VERDICTS = {"first": "model_a", "second": "model_b", "tie": "tie", "bad": "tie (bothbad)"}
QUESTIONS: tuple[str, ...] = ("content", "language", "overall")
# Five times the speed at which adults read English in silence, 238 words a minute (Brysbaert, 2019, "How many words do
# we read per minute?", Journal of Memory and Language 109).
MOST_WORDS_PER_SECOND = 5 * 238 / 60
LONGEST = 7 * 24 * 3600.0  # seconds on the page that are believed


@dataclass(frozen=True)
class Answers:
    """What a voter answered.

    verdicts: by question, one of `VERDICTS`; none by who skipped the pair. remarks: on the answers themselves.
    seconds: on the page, while it was seen. seen: the ends of both answers were on the screen.
    """

    verdicts: Mapping[str, str]
    remarks: Remarks
    seconds: float
    seen: bool

    @classmethod
    def of(cls, body: JsonObject) -> Answers:
        """Return the answers in a request; raises BadVoteError."""
        seconds, seen = _seconds(body.get("seconds", 0)), body.get("seen") is True
        if body.get("skip") is True:
            return cls({}, Remarks({}), seconds, seen)
        verdicts = {question: body[question] for question in QUESTIONS if question in body}
        if any(not isinstance(verdict, str) or verdict not in VERDICTS for verdict in verdicts.values()):
            raise BadVoteError("no verdict")
        if "content" not in verdicts or "language" not in verdicts:
            raise BadVoteError("a question without an answer")
        if contradict(verdicts["content"], verdicts["language"]) != ("overall" in verdicts):
            raise BadVoteError("the third question is asked where the first two answers contradict each other")
        return cls(verdicts, Remarks.of(body, winner_of(verdicts)), seconds, seen)

    @property
    def skipped(self) -> bool:
        """Whether the voter cannot judge the pair, which is no verdict."""
        return not self.verdicts

    @property
    def winner(self) -> str:
        """The verdict on the whole."""
        return winner_of(self.verdicts)


def winner_of(verdicts: Mapping[str, str]) -> str:
    """Return the verdict on the whole: what both say; else the third answer; else the one of the two that is no tie."""
    content, language = verdicts["content"], verdicts["language"]
    if content == language:
        return content
    return verdicts.get("overall") or next((one for one in (content, language) if one in SIDES), "tie")


def contradict(content: str, language: str) -> bool:
    """Whether one answer is better in content, and the other one in language."""
    return {content, language} == set(SIDES)


def battle_of(ballot: Ballot, answers: Answers, *, now: float, facts: JsonObject) -> Record:
    """Return the battle that a voter decided, or skipped; `model_a` was shown first. facts: more for `metadata`.

    Raises BadVoteError for remarks on what the answers do not hold.
    """
    shown, (first, second) = ballot.showing, ballot.responses
    words = sum(len(one["messages"][-1]["content"].split()) for one in (first, second))
    battle = {
        "id": ballot.id,
        "prompt_id": shown.prompt,
        "model_a": shown.first,
        "model_b": shown.second,
        **_decision(answers, {"first": first["messages"], "second": second["messages"]}),
        "user": ballot.user,
        "timestamp": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "conversation_a": first["messages"],
        "conversation_b": second["messages"],
        "metadata": {
            "first": "model_a",
            "seconds": round(answers.seconds, 1),
            "seconds_since_issue": max(0, int(now) - ballot.issued),
            "seen": answers.seen,
            "suspicion": suspicion(answers, words),
            "version": __version__,
            **facts,
        },
    }
    if language := first.get("language") or second.get("language"):
        battle["language"] = language
    return battle


def _decision(answers: Answers, conversations: Mapping[str, list[Record]]) -> JsonObject:
    if answers.skipped:
        return {"skipped": True}
    return {
        "winner": VERDICTS[answers.winner],
        "winner_content": VERDICTS[answers.verdicts["content"]],
        "winner_language": VERDICTS[answers.verdicts["language"]],
        **answers.remarks.fields(conversations),
    }


def _seconds(given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= LONGEST:
        raise BadVoteError("no time on the page")
    return float(given)


def suspicion(answers: Answers, words: int) -> list[str]:
    """Return why a vote may be of little worth; it is stored all the same."""
    if answers.skipped:
        return []
    found = [] if answers.seen else ["unseen"]
    return found + (["fast"] if answers.seconds < max(1.0, words / MOST_WORDS_PER_SECOND) else [])
