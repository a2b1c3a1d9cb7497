"""The trained parameters of a model: all, all but frozen parts, or low-rank adapters beside its layers."""

from __future__ import annotations

import json
import math
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import Parameter

from latxa_cli.model import read_settings
from latxa_cli.stream.errors import LatxaError, UsageError, first_line, nearest
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.network.parts import beside_text, whole_parts

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LITTLE = 0.01  # of a model: matrices of so few weights may be without adapters, and nothing is said
NAMED = 3  # kinds of matrices


def choose(model: PreTrainedModel, config: TrainConfig) -> list[str]:
    """Add adapters to the model (LoRA, Hu et al. 2022, arXiv 2106.09685) or freeze parts of it, by the settings.

    What stands beside the text part is frozen too, since text gives it no gradient: towers for pictures and sound, and
    what joins them on. Frozen parts get no adapters. Frozen weights get the dtype of computing.

    Returns:
        Lines for people about weights that they might think are trained, and are not.

    Raises:
        UsageError: no parameter has a name in the settings, nothing is left to train, or the library of adapters is not
            installed.
    """
    beside = beside_text(model)
    frozen = {*_named(model, "freeze", config.freeze), *beside}
    if config.lora_rank:
        _add_adapters(model, config, frozen)
    for name, parameter in model.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UsageError("`freeze` leaves nothing to train")
    if config.dtype == "bfloat16":
        for parameter in model.parameters():
            if not parameter.requires_grad and parameter.is_floating_point():
                parameter.data = parameter.data.to(torch.bfloat16)
    lines = []
    if beside:
        named = ", ".join(f"`{part}`" for part in whole_parts(model, beside))
        lines.append(f"not trained, since text does not pass through it: {named}")
    if config.lora_rank:
        lines += _without_adapters(model, frozen)
    return lines + _new_tokens(model, adapted=config.lora_rank > 0)


def _new_tokens(model: PreTrainedModel, *, adapted: bool) -> list[str]:
    """Return a line where `latxa extend` has just given the model tokens, and their rows are not trained."""
    try:
        made = read_settings(Path(model.name_or_path or "") / "manifest.json")
    except LatxaError:  # a file of that name, which is none of ours
        return []
    rows = {id(part.weight) for part in (model.get_input_embeddings(), model.get_output_embeddings()) if part}
    tables = {name: parameter for name, parameter in model.named_parameters() if id(parameter) in rows}
    frozen = [f"`{name}`" for name, parameter in tables.items() if not parameter.requires_grad]
    if made.get("verb") != "extend" or not made.get("pieces") or not frozen:
        return []
    settings = json.dumps([name.removesuffix(".weight") for name in tables])
    how = f": `lora_whole = {settings}` in the file of `--config` trains them" if adapted else ""
    return [f"the rows of the model's new tokens in {' and '.join(frozen)} are not trained{how}"]


def _without_adapters(model: PreTrainedModel, frozen: set[str]) -> list[str]:
    """Return lines on the matrices without adapters; tables of embeddings and what is `frozen` are left out."""
    reached, experts = frozen | set(expert_adapters(model).values()), set(_experts(model))
    shared = _shared_layers(model)
    left = {name: value for name, value in (_of_no_layer(model) | shared).items() if name not in reached}
    told = {
        "they are no linear layers: experts {}, {}; `lora_experts = true` gives them some": experts,
        "they are no linear layers: {}, {}; `lora_whole` trains them whole": left.keys() - experts - shared.keys(),
        "several layers share them: {}, {}; `lora_whole` trains them whole": shared.keys(),
    }
    lines = []
    for line, names in told.items():
        sizes: Counter[str] = Counter()
        for name in left.keys() & names:
            sizes[re.sub(r"\.\d+\.", ".*.", name)] += math.prod(shape(left[name]))
        share = sizes.total() / count(model)
        if share > LITTLE or (sizes and names is experts):
            kinds = [f"`{kind}`" for kind in sorted(sizes)]
            more = f" and {len(kinds) - NAMED} more" if len(kinds) > NAMED else ""
            lines.append(f"without adapters, since {line.format(', '.join(kinds[:NAMED]) + more, f'{share:.0%}')}")
    return lines


def _of_no_layer(model: PreTrainedModel, *, frozen: bool = True) -> dict[str, Parameter]:
    """Return the matrices, if they are `frozen`, that are neither those of linear layers nor tables of embeddings."""
    tables = (torch.nn.Embedding, type(model.get_input_embeddings()))
    layers = (layer for layer in model.modules() if is_linear(layer) or isinstance(layer, tables))
    known = {id(own) for layer in layers for own in layer.parameters(recurse=False)}
    return {
        name.replace(".base_layer", ""): value
        for name, value in model.named_parameters()
        if value.requires_grad != frozen and len(shape(value)) > 1 and id(value) not in known and "bias" not in name
    }


def _shared_layers(model: PreTrainedModel) -> dict[str, Parameter]:
    """Return the frozen weights that several linear layers have (Zamba)."""
    uses, head = _uses(model), model.get_output_embeddings()
    of_layers = {id(layer.weight) for layer in model.modules() if is_linear(layer) and layer is not head}
    return {
        name: value
        for name, value in model.named_parameters()
        if not value.requires_grad and id(value) in of_layers and uses[id(value)] > 1
    }


def _uses(model: torch.nn.Module) -> Counter[int]:
    """Return in how many places each parameter stands, by its id."""
    return Counter(id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False))


def _experts(model: PreTrainedModel) -> list[str]:
    """Return the names of the parameters that hold the matrices of all experts of a layer, one behind another."""
    return [
        f"{name}.{own}".replace(".base_layer", "")
        for name, module in model.named_modules()
        for own, value in module.named_parameters(recurse=False)
        if len(shape(value)) == 3 and ("expert" in f"{name}.{own}" or "Expert" in type(module).__name__)
    ]


def _stacked_experts(model: PreTrainedModel, but: set[str]) -> list[str]:
    """Return the names of the parameters of experts that are to have adapters; raises UsageError if there are none."""
    found = _experts(model)
    if chosen := sorted(set(found) - but):
        return chosen
    flat = next((name for name in _of_no_layer(model, frozen=False) if "expert" in name), None)
    hint = "experts that are linear layers have adapters without it"
    if found:
        hint = "`freeze` names all of them"
    elif flat:
        hint = f"`{flat}` and its like lie flat: `lora_whole` trains them whole"
    raise UsageError("`lora_experts`: no parameter of the model is the stacked matrices of experts", hint=hint)


def expert_adapters(model: torch.nn.Module) -> dict[str, str]:
    """Return {name of an adapter: the parameter of experts that it is added to}."""
    try:
        from peft.tuners.lora.layer import ParamWrapper
    except ImportError:
        return {}
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, ParamWrapper):
            found[name] = f"{name.replace('.base_layer', '')}.{module.parameter_name}"
    return found


def _named(model: PreTrainedModel, setting: str, parts: Sequence[str]) -> set[str]:
    """Return the names of the parameters that have one of `parts` in them; raises UsageError for a part of none."""
    found = {part: {name for name, _ in model.named_parameters() if part in name} for part in parts}
    if missing := next((part for part, names in found.items() if not names), None):
        known = dict.fromkeys(part for name, _ in model.named_parameters() for part in name.split("."))
        hint = nearest(missing, [name for name in known if not name.isdigit()])
        raise UsageError(f"`{setting}`: no parameter of the model has `{missing}` in its name", hint=hint)
    return set().union(*found.values())


def _add_adapters(model: PreTrainedModel, config: TrainConfig, frozen: set[str]) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise UsageError("`lora_rank` needs the package peft", hint="`pip install peft`") from None
    torch.manual_seed(config.seed)
    whole = _named(model, "lora_whole", config.lora_whole) - frozen
    kept = [parameter for name, parameter in model.named_parameters() if name in whole]
    layers = _linear_layers(model)
    without = [name for name in layers if f"{name}.weight" in frozen | whole]
    experts = _stacked_experts(model, frozen | whole) if config.lora_experts else []
    _check_targets(config.lora_targets, [name for name, _ in model.named_modules() if name not in without], layers)
    settings = LoraConfig(
        r=config.lora_rank,
        lora_alpha=lora_alpha(config),  # type: ignore[arg-type]
        target_modules=config.lora_targets or [name for name in layers if name not in set(without)],
        target_parameters=[f"0.{name}" for name in experts] or None,  # whole names, by their place in the list below
        exclude_modules=without or None,
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )
    try:
        with warnings.catch_warnings():
            # `_check_adapters` refuses what it warns of, and layers such as GPT-2's are right as they are.
            warnings.simplefilter("ignore")
            # In a list, since PEFT takes the layers of shared experts for those of all where it knows the model's kind.
            inject_adapter_in_model(settings, torch.nn.ModuleList([model]))
    except ValueError as error:
        raise UsageError(f"`lora_targets`: {first_line(error)}") from None
    _check_adapters(model)
    for parameter in kept:
        parameter.requires_grad_(True)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def _check_targets(targets: Sequence[str], names: Sequence[str], linear: Sequence[str]) -> None:
    """Raise UsageError for a target that none of the layers `names` has at its end: PEFT passes over it."""
    known = sorted({name.rpartition(".")[2] for name in linear})
    for target in targets:
        if not any(f".{name}".endswith(f".{target}") for name in names):
            message = f"`lora_targets`: no layer that is trained is called `{target}`"
            raise UsageError(message, hint=nearest(target, known))


def _linear_layers(model: PreTrainedModel) -> list[str]:
    """Return the names of all linear layers but the head, and those that share their weights."""
    uses, head = _uses(model), model.get_output_embeddings()
    return [
        name
        for name, layer in model.named_modules()
        if is_linear(layer) and layer is not head and uses[id(layer.weight)] == 1
    ]


def _check_adapters(model: PreTrainedModel) -> None:
    """Raise UsageError for adapters that could not be merged into the weights at the end of the run."""
    from peft.tuners.lora.layer import ParamWrapper
    from peft.tuners.tuners_utils import BaseTunerLayer

    uses = _uses(model)
    for name, module in model.named_modules():
        if isinstance(module, BaseTunerLayer) and not isinstance(module, ParamWrapper):
            layer = module.get_base_layer()
            fault = "" if is_linear(layer) else "is no linear layer"
            if not fault and uses[id(layer.weight)] > 1:
                fault = "is tied to another layer, which would change with it"
            if fault:
                hint = "without `lora_targets`, all linear layers but the head get adapters"
                raise UsageError(f"`lora_targets`: `{name}` {fault}", hint=hint)


def is_linear(layer: torch.nn.Module) -> bool:
    """Whether a layer is one matrix, of shape [out, in], or [in, out] (see `is_transposed`)."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(layer, Conv1D) or (isinstance(layer, torch.nn.Linear) and _is_plain(type(layer)))


def _is_plain(kind: type[torch.nn.Linear]) -> bool:
    """Whether a kind of linear layers computes what torch's own does (Falcon's), tried on a small one.

    Others have its weights and compute something else: groups (DeepSeek V4), the choice of experts (Phi-3.5-MoE).
    """
    if kind.forward is torch.nn.Linear.forward:
        return True
    inputs = torch.eye(3)
    with torch.random.fork_rng(devices=[]):
        try:
            small = kind(3, 2)
            expected = torch.nn.functional.linear(inputs, small.weight, small.bias)
            return bool(torch.equal(small(inputs), expected))
        except (TypeError, AttributeError):  # it is made of something else, or gives something else
            return False


def is_transposed(layer: torch.nn.Module) -> bool:
    """Whether a layer has weights [in, out], as in GPT-2, or the experts of GPT-OSS."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(layer, Conv1D) or getattr(layer, "is_transposed", False) is True


def lora_alpha(config: TrainConfig) -> float:
    """Return the alpha of adapters, which are scaled by alpha / rank."""
    return config.lora_alpha or 2.0 * config.lora_rank


def trained(model: torch.nn.Module) -> dict[str, Parameter]:
    """Return the trained parameters by name, tied ones once."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def shape(parameter: Tensor) -> tuple[int, ...]:
    """Return the whole shape of a parameter, even where DeepSpeed has shared it out."""
    return tuple(getattr(parameter, "ds_shape", parameter.shape))


def count(model: torch.nn.Module, *, trained_only: bool = False) -> int:
    """Return the number of weights, tied ones once."""
    return sum(math.prod(shape(p)) for p in model.parameters() if p.requires_grad or not trained_only)


def state_bytes(model: torch.nn.Module) -> int:
    """Return the bytes of all weights, with gradient and two moments in float32 for each that is trained."""
    return sum(math.prod(shape(p)) * (16 if p.requires_grad else p.element_size()) for p in model.parameters())


def groups(model: torch.nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Return the optimiser's groups: matrices decay; norms, biases and other vectors do not."""
    parameters = list(trained(model).values())
    matrices = [parameter for parameter in parameters if len(shape(parameter)) >= 2]
    vectors = [parameter for parameter in parameters if len(shape(parameter)) < 2]
    return [
        {"params": members, "weight_decay": decay}
        for members, decay in ((matrices, config.weight_decay), (vectors, 0.0))
        if members
    ]
