"""Which model is which: names for people, of which no two models share one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from latxa_cli.comparison.sheets import Identity
from latxa_cli.stream.errors import UsageError, nearest


def names_of(models: Iterable[Identity]) -> dict[Identity, str]:
    """Return a name for each model: its own, with its path where two share one, and its weights where they share both.

    Example: `base`, `run1/model`, `run2/model (3f2a91c0)`.
    """
    models = list(dict.fromkeys(models))
    names = {model: model.name for model in models}
    for longer in (_path, _path_and_weights):
        shared = Counter(names.values())
        names = {model: longer(model) if shared[name] > 1 else name for model, name in names.items()}
    return names


def _path(model: Identity) -> str:
    return model.path or model.name


def _path_and_weights(model: Identity) -> str:
    return f"{_path(model)} ({(model.weights or 'unknown')[:8]})"


def find(name: str, names: Mapping[Identity, str], flag: str) -> Identity:
    """Return the model that a flag names, by its name here, its own name or its path.

    Raises:
        UsageError: there is none, or several.
    """
    for known in (lambda one: names[one], lambda one: one.name, lambda one: one.path):
        found = [model for model in names if known(model) == name]
        if len(found) == 1:
            return found[0]
        if found:
            hint = "say which: " + ", ".join(f"`{names[model]}`" for model in found)
            raise UsageError(f"`{flag} {name}`: several models have this name", hint=hint)
    raise UsageError(f"`{flag} {name}`: there are no answers of this model", hint=nearest(name, list(names.values())))
