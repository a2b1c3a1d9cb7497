"""What voters may say of themselves, in the organiser's words: such as how well they know the language.

    [user_language]
    question = "How well do you know Basque?"
    answers = ["A1-A2", "B1-B2", "C1-C2"]

An answer is a field of the votes, by which `arena-score --by user_language` rates too. Nobody has to answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import JsonObject
from latxa_cli.stream.tables import load_toml
from latxa_cli.voting.remarks import BadVoteError

_NAME = re.compile(r"user_[a-z0-9_]{1,40}")


@dataclass(frozen=True)
class Question:
    """A question to voters, and the answers that there are."""

    question: str
    answers: list[str]


Questions = Mapping[str, Question]  # by the field of the votes


def questions_of(path: Path | None) -> Questions:
    """Return the questions of a file; raises UsageError or LatxaError."""
    tables = load_toml(path) if path else {}
    return {name: _question(f"{path}: `{name}`", name, table) for name, table in tables.items()}


def _question(where: str, name: str, table: object) -> Question:
    if not _NAME.fullmatch(name):
        raise LatxaError(f"{where} is no name of a field of voters", hint="such as `user_language`")
    if not isinstance(table, dict) or table.keys() != {"question", "answers"}:
        raise LatxaError(f"{where} has not just `question` and `answers`")
    question, answers = table["question"], table["answers"]
    if not isinstance(question, str) or not question.strip():
        raise LatxaError(f"{where}: `question` is no text")
    if not isinstance(answers, list) or not answers or not all(isinstance(one, str) and one.strip() for one in answers):
        raise LatxaError(f"{where}: `answers` are no texts")
    return Question(question, answers)


def said_by(voter: object, questions: Questions) -> JsonObject:
    """Return the fields of a vote that say what a voter answered; raises BadVoteError for what is no answers.

    Questions and answers that are not there are left out: a page from before a restart has them, and they cost no vote.
    """
    if not isinstance(voter, dict):
        raise BadVoteError("no answers about the voter")
    known = {name: answer for name, answer in voter.items() if name in questions}
    return {name: answer for name, answer in known.items() if answer in questions[name].answers}
