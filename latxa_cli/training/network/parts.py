"""The parts of a model that text never reaches: towers for pictures and sound, and what joins them on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from torch.nn import Module

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def beside_text(model: PreTrainedModel) -> list[str]:
    """Return the names of the parameters that text never reaches.

    Those are layers that attend to pictures alone, too (Llama 3.2 with vision).
    """
    config = model.config.get_text_config()
    decoder: Any = model.get_decoder()
    if config is model.config:
        apart: list[Module] = list(_towers(model))
        of_text = {id(value) for value in model.parameters()}
    else:
        parts = (decoder, model.get_input_embeddings(), model.get_output_embeddings())
        apart = [decoder.layers[number] for number in getattr(config, "cross_attention_layers", None) or ()]
        of_text = {id(value) for part in parts if part is not None for value in part.parameters()}
    of_text -= {id(value) for part in apart for value in part.parameters()}
    return [name for name, parameter in model.named_parameters() if id(parameter) not in of_text]


def _towers(model: PreTrainedModel) -> Iterator[Module]:
    """Yield the parts of a model whose configuration is that of text too, and has those of other parts in it.

    A part is the largest module around one with such a configuration that has no embeddings of text.
    """
    others = tuple(type(part) for name in model.config.sub_configs if (part := getattr(model.config, name, None)))
    modules, embeddings = dict(model.named_modules()), model.get_input_embeddings()
    for name, module in modules.items():
        if others and isinstance(getattr(module, "config", None), others):
            steps = name.split(".")
            around = (modules[".".join(steps[:end])] for end in range(1, len(steps) + 1))
            yield next(part for part in around if all(inner is not embeddings for inner in part.modules()))


def whole_parts(model: PreTrainedModel, names: Sequence[str]) -> list[str]:
    """Return the modules that hold nothing but parameters of `names`, and together all of them."""
    others = {name for name, _ in model.named_parameters()} - set(names)
    shared = {".".join(parts[:end]) for parts in (name.split(".") for name in others) for end in range(len(parts))}

    def part_of(name: str) -> str:
        steps = name.split(".")
        around = (".".join(steps[:end]) for end in range(1, len(steps) + 1))
        return next(part for part in around if part not in shared)

    return list(dict.fromkeys(map(part_of, names)))
