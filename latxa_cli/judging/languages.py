"""The rubric `code-switch`: which responses have words in another language than the one expected, model by model.

`latxa judge ours.jsonl theirs.jsonl --rubric code-switch --language eu`

How such words are found says `code_switch`. The scores of a response are `switched`, 0 or 1, and `share`, that of its
words which are in another language.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from latxa_cli.judging.code_switch import Switches, find_switches
from latxa_cli.judging.matching import Meeting
from latxa_cli.judging.records import scored
from latxa_cli.judging.rubric import Rubric
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Outcome, Record, Reject

Counts = dict[str, dict[str, int]]  # {model: {"responses", "switched"}}


def find_languages(
    meetings: Iterable[Meeting], rubric: Rubric, language: str | None, counts: Counts
) -> Iterator[Outcome]:
    """Yield for each meeting its rejects and a record of scores of its response.

    - language: the one expected, if not that of the record.
    - counts: gets those of each model, by what is written.

    Raises UsageError for a `language` that nobody can identify.
    """
    if language is not None:
        find_switches("", language)
    for meeting in meetings:
        outcomes: list[Record | Reject] = list(meeting.rejects)
        for response in meeting.responses:
            found = _searched(response, language)
            outcomes.append(found if isinstance(found, Reject) else _scored(response, rubric, found))
        for one in outcomes:
            if not isinstance(one, Reject):
                of_model = counts.setdefault(one.get("model", "no model"), {"responses": 0, "switched": 0})
                of_model["responses"] += 1
                of_model["switched"] += one["scores"]["switched"]
        yield outcomes


def rates(counts: Counts, say: Callable[[str], object]) -> None:
    """Say how many responses of each model have words in another language."""
    for model, count in counts.items():
        said = f"{count['switched']:,} of {count['responses']:,} ({count['switched'] / count['responses']:.1%})"
        say(f"{model}: other languages in {said}")


def _searched(response: Record, language: str | None) -> Switches | Reject:
    expected = language or response.get("language")
    if not isinstance(expected, str) or not expected:
        return Reject(response, "no language", "the record has no `language`, and `--language` is not given")
    *before, answer = response["messages"]
    try:
        return find_switches(answer["content"], expected, [message["content"] for message in before])
    except UsageError as error:
        return Reject(response, "unknown language", str(error))


def _scored(response: Record, rubric: Rubric, found: Switches) -> Record:
    spans = [{"start": run.start, "end": run.end, "words": run.words, "language": run.language} for run in found.runs]
    scores = {"switched": int(bool(spans)), "share": round(found.share, 4)}
    return scored(response, rubric, None, scores) | {"metadata": {"words": found.searched, "spans": spans}}
