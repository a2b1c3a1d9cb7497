"""The shots of prompts: never the item itself, and the same for an item whether all items are asked or some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from lm_eval.api.samplers import FirstNSampler

from latxa_cli.stream.errors import LatxaError

if TYPE_CHECKING:
    from lm_eval.api.samplers import ContextSampler
    from lm_eval.api.task import ConfigurableTask

Item = Mapping[str, object]


class Shots:
    """Stands for a task's sampler, which the harness asks once for each item, in their order.

    - Items that are left out draw too, so that those of `--take` have the shots that they have in a whole run.
    - As the harness did before 0.4.10, an item that is drawn for itself is dropped, and may leave a shot less.

    Args:
        sampler: the task's own.
        task: the task.
        extra: how many are drawn beyond those wanted, before the item is dropped; None for the way of today.
    """

    def __init__(self, sampler: ContextSampler, task: ConfigurableTask, extra: int | None) -> None:
        self.sampler, self.task, self.extra = sampler, task, extra
        self.places: Sequence[int] | None = None
        self.next = 0  # place in `places`
        self.drawn = 0  # items that have drawn

    @cached_property
    def items(self) -> list[Item]:
        """All items that the task evaluates."""
        return list(self.task.eval_docs)

    @property
    def df(self) -> Sequence[Item]:
        """The examples that are drawn from."""
        return self.sampler.df  # type: ignore[no-any-return]

    @property
    def vary(self) -> bool:
        """Whether another seed draws other shots."""
        return bool(self.task.config.num_fewshot) and not isinstance(self.sampler, FirstNSampler)

    def set_rnd(self, seed: int | None) -> Shots:
        """Begin again, with another seed."""
        self.sampler.set_rnd(seed)
        self.next = self.drawn = 0
        return self

    def take(self, places: Sequence[int] | None) -> None:
        """Give shots to the items at `places` only; None: to all."""
        self.places = places

    def sample(self, n: int, eval_doc: Item | None = None, **_: object) -> Sequence[Item]:
        """Return `n` shots for the next item, which is `eval_doc` where it must not be among them."""
        place = self.next if self.places is None else self.places[self.next]
        self.next += 1
        for left_out in range(self.drawn, place):
            self._draw(n, left_out, None if eval_doc is None else self.items[left_out])
        self.drawn = place + 1
        return self._draw(n, place, eval_doc)

    def _draw(self, n: int, place: int, item: Item | None) -> Sequence[Item]:
        if self.extra is None:
            return self.sampler.sample(n, eval_doc=item)  # type: ignore[no-any-return]
        return [shot for shot in self.sampler.sample(n + self.extra) if shot != self.items[place]][:n]


def prepare_shots(task: ConfigurableTask, *, paper: bool = False) -> None:
    """Keep every item of a task out of its own shots, and check that there are enough of these.

    The harness (0.4.10 to 0.4.13, its issue 4145) does not exclude an item where shots come from the split that is
    evaluated and the task's file does not name that split twice.

    Args:
        task: the task, whose `num_fewshot` is set.
        paper: draw as the harness did until 0.4.9, for task files as they were then: one more is drawn where they name
            the split that is evaluated as that of the shots, and the item is dropped, wherever it comes from.

    Raises:
        LatxaError: there are fewer examples than shots.
    """
    sampler = getattr(task, "sampler", None)
    if sampler is None or isinstance(sampler, Shots):
        return
    evaluated = task.config.test_split or task.config.validation_split
    source = task.fewshot_cfg.split or task.config.training_split or task.config.validation_split or evaluated
    own = task.fewshot_cfg.samples is None and source == evaluated
    extra = int(own)
    if paper:
        files = {"fewshot_split": task.fewshot_cfg.split, **(task.config.metadata or {}).get("paper", {})}
        extra = int(files["fewshot_split"] == task.config.test_split)
    elif own and task.fewshot_cfg.split != task.config.test_split:
        task.config.test_split = task.fewshot_cfg.split = evaluated
    wanted, there = task.config.num_fewshot or 0, len(sampler.df)
    if wanted and wanted + extra > there:
        among = ", the item itself among them" if own else ""
        raise LatxaError(
            f"`{task.task_name}` has {there} examples to draw shots from{among}: too few for {wanted} shots",
            hint="give fewer with `--few-shot`",
        )
    task.sampler = Shots(sampler, task, extra if paper else None)
