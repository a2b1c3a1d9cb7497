"""Scorers that ask nobody: a number for each response, by its reference (chrF) or by a reward model.

A reward model is a classifier of sequences with one output (`AutoModelForSequenceClassification`), which reads the
whole conversation through its chat template; its raw output is the score.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from latxa_cli.chat.rendering import TemplateError, render
from latxa_cli.chat.special import special_tokens
from latxa_cli.judging.matching import Meeting
from latxa_cli.judging.records import measured, meeting_of, scored
from latxa_cli.judging.rubric import Rubric
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.records import Outcome, Record, Reject


class Measure(Protocol):
    """`name`: as records say it; `signature`: what others need to repeat it; `criterion`: the name of its score."""

    name: str
    criterion: str

    @property
    def signature(self) -> str: ...

    def scores(self, responses: list[Record], reference: str | None) -> list[float] | Reject:
        """Return a score for each response to one prompt, or why they have none."""
        ...


class ByReference:
    """chrF to the reference."""

    criterion = "chrF"

    def __init__(self) -> None:
        from latxa_cli.text.chrf import ChrF

        self._metric = ChrF()
        self.name, self.signature = self._metric.name, self._metric.signature

    def scores(self, responses: list[Record], reference: str | None) -> list[float] | Reject:
        assert reference is not None
        return [self._metric.score(response["messages"][-1]["content"], reference) for response in responses]


class ByReward:
    """A reward model; raises LatxaError where it cannot be loaded, UsageError where it is none."""

    criterion = "reward"

    def __init__(self, model: str, *, device: str | None = None, trust_remote_code: bool = False) -> None:
        from latxa_cli.model import load_config, load_model, short_name, weights_id
        from latxa_cli.tokenizer import load_tokenizer

        config = load_config(model, trust_remote_code=trust_remote_code)
        if config.num_labels != 1 or not _is_classifier(config):
            raise UsageError(
                f"`{model}` is no reward model",
                hint="a reward model is a classifier of sequences with one output (`num_labels` 1)",
            )
        self._tokenizer = load_tokenizer(model, trust_remote_code=trust_remote_code)
        if not self._tokenizer.chat_template:
            raise UsageError(f"`{model}` has no chat template", hint="a reward model reads conversations through one")
        self._markers = sorted(special_tokens(self._tokenizer))
        self._network: Any = load_model(
            model, device=device, trust_remote_code=trust_remote_code, form="AutoModelForSequenceClassification"
        )
        self._network.eval()
        self._longest = getattr(config, "max_position_embeddings", None)
        self.name = short_name(model)
        self.signature = f"{self.name} (weights {weights_id(model) or 'unknown'})"

    def scores(self, responses: list[Record], reference: str | None) -> list[float] | Reject:
        import torch

        found = []
        for response in responses:  # one at a time: padding would change the last digits
            if marker := next((marker for marker in self._markers if _spells(response, marker)), ""):
                return Reject(response, "special token in the conversation", marker)
            try:
                text = render(self._tokenizer, response["messages"])
            except TemplateError as error:
                return Reject(response, "refused by the chat template", error.message)
            ids = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
            if self._longest is not None and len(ids) > self._longest:
                return Reject(response, "judge: too long", f"{len(ids)} tokens")
            with torch.inference_mode():
                reward = self._network(input_ids=torch.tensor([ids], device=self._network.device)).logits[0, 0]
            found.append(float(reward))
        return found


def measure(meetings: Iterable[Meeting], by: Measure, rubric: Rubric, margin: float) -> Iterator[Outcome]:
    """Yield for each meeting its rejects and, by the rubric, battles among its responses or a record of scores."""
    for meeting in meetings:
        if not meeting.responses:
            yield list(meeting.rejects)
            continue
        found = by.scores(list(meeting.responses), meeting.reference)
        if isinstance(found, Reject):
            yield [*meeting.rejects, found]
            continue
        if bad := next((score for score in found if score != score), None):
            raise LatxaError(f"`{by.name}` gives `{bad}` for the response `{meeting.responses[0]['id']}`")
        with_scores = list(zip(meeting.responses, found, strict=True))
        if rubric.compares == "one":
            (response, score), = with_scores  # fmt: skip
            yield [*meeting.rejects, scored(response, rubric, by.name, {by.criterion: round(score, 4)})]
            continue
        yield [
            *meeting.rejects,
            *(
                measured(meeting_of(meeting.prompt_id, a, b, by.name), rubric, score_a, score_b, margin)
                for (a, score_a), (b, score_b) in ((with_scores[a], with_scores[b]) for a, b in meeting.pairs)
            ),
        ]


def _spells(response: Record, marker: str) -> bool:
    return any(marker in message["content"] for message in response["messages"])


def _is_classifier(config: Any) -> bool:
    architectures = getattr(config, "architectures", None) or []
    return not architectures or any("Classification" in name or "Reward" in name for name in architectures)
