"""What a run will cost, before it: a few items are asked, and the rest is reckoned from them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latxa_cli.evaluation.answering.beginning import prove_beginning
from latxa_cli.evaluation.asking.take import give_shots_to
from latxa_cli.evaluation.harness import places_of
from latxa_cli.evaluation.libraries import Console, quiet_libraries
from latxa_cli.evaluation.model import asks_as_chat, open_model
from latxa_cli.generation.budget import Budget
from latxa_cli.generation.engine import Completion
from latxa_cli.stream.errors import LatxaError

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

    from latxa_cli.evaluation.answering.model import EngineModel
    from latxa_cli.evaluation.settings import Settings
    from latxa_cli.evaluation.tasks.loading import LoadedTask

ASKED = 4  # items at least, and one of each task


@dataclass
class Share:
    """What a task asks: `items`, the `size` of their prompts in bytes, and the items `asked` for an estimate."""

    items: list[list[Instance]]
    size: int
    asked: list[list[Instance]]


def tell_cost(loaded: Iterable[LoadedTask], model: str, settings: Settings, console: Console) -> None:
    """Ask a server a few items of tasks, and tell a person what all of them would take.

    Raises:
        LatxaError: the server cannot be asked, or answers none of the items.
    """
    opened: Any = open_model(model, settings, console)
    chat = asks_as_chat(opened, settings)
    prove_beginning(opened, console.say, chat=chat)
    tasks = {}
    with quiet_libraries(console):
        for one in loaded:
            places = places_of(one, settings)
            for name, task in one.tasks.items():
                task.set_fewshot_seed(seed=settings.seed)
                if places is not None:
                    give_shots_to(task, places[name])
                task.build_all_requests(
                    samples=None if places is None else places[name],
                    apply_chat_template=chat,
                    fewshot_as_multiturn=chat,
                    chat_template=opened.apply_chat_template if chat else None,
                    tokenizer_name="",
                )
                tasks[name] = task
        lines = estimate(tasks, opened) if tasks else []
    for line in lines:
        console.say(line)


def estimate(tasks: dict[str, Any], model: EngineModel) -> list[str]:
    """Ask a few items of tasks whose requests are built, and return what all would take, in lines for people.

    Raises:
        LatxaError: none of the items was answered.
    """
    shares = {name: _share(task.instances, max(1, -(-ASKED // len(tasks)))) for name, task in tasks.items()}
    started = time.monotonic()
    for share in shares.values():
        _ask(model, [instance for item in share.asked for instance in item])
    seconds = time.monotonic() - started
    completions = [one for many in model.journal.values() for one in many]
    answered = [one for one in completions if one.completion_tokens]
    if not answered:
        why = next((one.text for one in completions if one.finish_reason == "failed"), "no tokens were counted")
        raise LatxaError(f"no item was answered, from which the cost could be told: {why}")
    prompt = sum(_prompt_tokens(name, share, model, answered) for name, share in shares.items())
    items = sum(len(share.items) for share in shares.values())
    spent = sum(one.completion_tokens for one in answered)
    completion = round(spent / len(answered) * items)
    return [
        f"dry run: {len(completions)} requests took {seconds:.1f} s, and "
        f"{sum(one.prompt_tokens for one in answered):,} prompt and {spent:,} completion tokens; nothing was written",
        f"all {items:,} would take some {prompt:,} prompt and {completion:,} completion tokens"
        + _price(getattr(model.engine, "budget", None), prompt, completion),
    ]


def _share(instances: Iterable[Instance], count: int) -> Share:
    items: dict[int, list[Instance]] = {}
    for instance in instances:
        items.setdefault(instance.doc_id or 0, []).append(instance)
    all_items = list(items.values())
    step = max(1, len(all_items) // count)
    return Share(all_items, sum(map(_size, all_items)), all_items[::step][:count])


def _size(item: list[Instance]) -> int:
    return len(item[0].args[0].encode())


def _ask(model: EngineModel, instances: list[Instance]) -> None:
    for kind in dict.fromkeys(instance.request_type for instance in instances):
        getattr(model, kind)([instance for instance in instances if instance.request_type == kind])


def _prompt_tokens(name: str, share: Share, model: EngineModel, answered: list[Completion]) -> int:
    """Return the tokens of a task's prompts, from those of its items that were asked, else of any that were."""
    numbers = {item[0].doc_id or 0: _size(item) for item in share.asked}
    own = [(one, size) for number, size in numbers.items() for one in model.journal.get((name, number), ())]
    own = [(one, size) for one, size in own if one.prompt_tokens]
    if not own:
        return round(sum(one.prompt_tokens for one in answered) / len(answered) * len(share.items))
    return round(share.size * sum(one.prompt_tokens for one, _ in own) / max(1, sum(size for _, size in own)))


def _price(budget: Budget | None, prompt: int, completion: int) -> str:
    if budget is None:
        return ""
    if budget.price is None:
        return "; `--engine-option price=PROMPT/COMPLETION` tells what they cost"
    limit = "" if budget.limit is None else f" (`--max-cost {budget.limit:g}`)"
    return f": they cost some {budget.cost(prompt, completion):,.4g}{limit}"
