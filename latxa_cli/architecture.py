"""The network that a configuration stands for: its class in transformers, and what it reads.

Models that take pictures or sound beside text are loaded whole, with the parts that text never passes through.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from latxa_cli.stream.errors import LatxaError, first_line

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TEXT, WITH_PARTS = "AutoModelForCausalLM", "AutoModelForMultimodalLM"
# Families that have the classes of others and do not work as they do.
UNFIT = {
    "diffusion_gemma": "fills blocks of text, and does not continue it token by token",
    "paligemma": "looks ahead in a prompt, so that no token of it can be learnt from those before",
}


def auto_class(model: str, config: Any) -> str:
    """Return the class of transformers that loads `model`; raises LatxaError for a family that continues no text."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as OF_TEXT
    from transformers.models.auto.modeling_auto import MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES as OF_ALL

    kind, named = config.model_type, getattr(config, "architectures", None) or ()
    if not type(config).__module__.startswith("transformers.models."):  # code that comes with the model
        return TEXT
    if getattr(config, "is_encoder_decoder", False):
        raise _unfit(model, kind, "has an encoder, and an answer is not the rest of its prompt")
    if kind in UNFIT:
        raise _unfit(model, kind, UNFIT[kind])
    if kind in OF_ALL and (kind not in OF_TEXT or OF_ALL[kind] in named):
        return WITH_PARTS
    if kind in OF_TEXT:
        return TEXT
    raise _unfit(model, kind, "continues no text")


def skeleton(model: str, config: Any, *, trust_remote_code: bool = False) -> PreTrainedModel:
    """Return the network with names, shapes and ties, but without numbers; raises LatxaError as `auto_class` does."""
    import torch
    import transformers

    kind = getattr(transformers, auto_class(model, config))
    try:
        with torch.device("meta"):
            network: PreTrainedModel = kind.from_config(config, trust_remote_code=trust_remote_code)
    except ImportError as error:  # of a library for pictures or sound
        raise LatxaError(f"`{model}`, a `{config.model_type}`, cannot be loaded: {first_line(error)}") from None
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = f"its configuration does not make a `{config.model_type}`: {first_line(error)}"
        raise LatxaError(f"`{model}`: {reason}", hint="are its sizes those of the family?") from None
    return network


def check_reads_text(model: str, config: Any, *, trust_remote_code: bool = False) -> None:
    """Raise LatxaError for a model with parts beside text whose network does not take text alone.

    It is called without numbers. What it asks for beside tokens is an error of its arguments.
    """
    import torch

    if auto_class(model, config) != WITH_PARTS:
        return
    network = skeleton(model, config, trust_remote_code=trust_remote_code).eval()
    if type(network).forward is torch.nn.Module.forward:
        raise _unfit(model, config.model_type, "is several models in one")
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network(input_ids=torch.zeros((1, 2), dtype=torch.long), use_cache=False).logits  # noqa: B018
    except (NotImplementedError, RuntimeError):  # it computes with numbers that are not there
        return
    except (AttributeError, TypeError, ValueError) as error:
        raise _unfit(model, config.model_type, f"does not read text alone: {first_line(error)}") from None


def _unfit(model: str, kind: str, reason: str) -> LatxaError:
    return LatxaError(
        f"`{model}` is a `{kind}`, which {reason}", hint="models that continue a text can be used, as Llama or Qwen"
    )
