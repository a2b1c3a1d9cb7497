"""Models for lm-evaluation-harness: their names in records, and the harness's wrapper around each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from latxa_cli.chat.rendering import date_variables, set_date
from latxa_cli.evaluation.libraries import Console, unmuted
from latxa_cli.model import check, load_model, short_name
from latxa_cli.stream.errors import UsageError
from latxa_cli.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from datetime import date

    from lm_eval.api.model import LM
    from lm_eval.models.huggingface import HFLM

    from latxa_cli.evaluation.kept import Kept
    from latxa_cli.evaluation.settings import Settings
    from latxa_cli.generation.engine import EngineOptions
    from latxa_cli.stream.records import JsonObject

GENERATED = 16  # sequences that are written at once, unless the user says
SILENT = Console()


def display_names(models: Sequence[str]) -> dict[str, str]:
    """Return the name of each model in records: the last part of its path, or the whole path where two names clash.

    Raises:
        UsageError: a model is given twice.
    """
    short = {model: short_name(model) for model in models}
    if repeated := [model for model in short if list(models).count(model) > 1]:
        raise UsageError(f"the model `{repeated[0]}` is given twice")
    names = list(short.values())
    return {model: name if names.count(name) == 1 else model for model, name in short.items()}


def load(
    model: str,
    *,
    device: str | None,
    batch_size: int | None,
    day: date | None = None,
    trust_remote_code: bool = False,
    console: Console = SILENT,
) -> HFLM:
    """Return the model for the harness around `model`, which `latxa_cli.model` loads: our scorer, else HFLM.

    The harness itself would look up a local path such as `models/base` on the hub, and would read weights in other
    formats than safetensors.

    Args:
        model: a directory, or a name on the hub.
        device: as of `latxa_cli.model.load_model`.
        batch_size: sequences in one pass; None for what the memory holds.
        day: what the chat template takes for today.
        trust_remote_code: run code that comes with the model.
        console: is told, for people who asked for more, why a model is scored more slowly.

    Raises:
        LatxaError: the model cannot be loaded.
    """
    from latxa_cli.evaluation.scoring.forward import UnfitError
    from latxa_cli.evaluation.scoring.scorer import Scorer

    tokenizer = load_tokenizer(model, trust_remote_code=trust_remote_code)
    network = load_model(model, device=device, trust_remote_code=trust_remote_code)
    set_date(tokenizer, day)
    told = date_variables(tokenizer)  # the harness calls the template itself
    size = batch_size or GENERATED
    try:
        scorer = Scorer(network, tokenizer, most_rows=batch_size, batch_size=size, chat_template_args=told)
    except UnfitError as reason:
        from lm_eval.models.huggingface import HFLM

        console.detail(f"`{model}` is scored by the harness's own loop: {reason}")
        return HFLM(pretrained=network, tokenizer=tokenizer, batch_size=size, chat_template_args=told)
    if scorer.network.fault:
        console.detail(f"`{model}` reads every choice with the whole prompt: {scorer.network.fault}")
    return scorer


def for_models(models: Sequence[str], options: EngineOptions, *, predicts: bool) -> EngineOptions:
    """Return the engine for models, which are checked before anything is loaded; by default transformers, or a server.

    `predicts`: whether texts are to be predicted.

    Raises:
        UsageError: the flags of the engine do not fit, or it does not predict texts.
        LatxaError: a model is not there.
    """
    from latxa_cli.generation.engine import settled

    settled_options = settled(options, best="transformers")
    if predicts and settled_options.engine != "transformers":
        raise UsageError(
            f"the engine `{settled_options.engine}` does not predict texts",
            hint="`--perplexity` needs `--engine transformers`",
        )
    for model in models if settled_options.engine != "openai" else ():
        check(model)
    return settled_options


def begin_bare(model: LM) -> None:
    """Put no BOS before a text of a model, as the harness did until 0.4.8; a chat template may write one itself."""
    scorer = getattr(model, "scorer", None)
    for one in (model, scorer) if scorer else (model,):
        if getattr(one, "encoder", None) is not None:
            one.encoder.beginning = []  # type: ignore[attr-defined]
        one.add_bos_token = False  # type: ignore[attr-defined]


def asks_as_chat(model: LM, settings: Settings) -> bool:
    """Whether a model is asked through a chat template: as the settings say, else if it has one, as servers do."""
    if settings.chat is not None:
        return settings.chat
    return model.tokenizer is None or bool(model.tokenizer.chat_template)  # type: ignore[attr-defined]


def check_templates(models: Sequence[str], *, trust_remote_code: bool = False) -> None:
    """Raise UsageError for a model without a chat template, before any other is loaded."""
    for model in models:
        if not load_tokenizer(model, trust_remote_code=trust_remote_code).chat_template:
            raise UsageError(f"the tokenizer of `{model}` has no chat template", hint="leave `--chat` out")


def open_model(model: str, settings: Settings, console: Console) -> LM:
    """Return the model for the harness that the settings ask for: `load`, or one around an engine.

    Where the transformers engine is to write letters, to think or to keep to a budget, it does so with the network
    that our scorer has.

    Raises:
        UsageError: flags of the engine do not fit.
        LatxaError: the model cannot be loaded, or the server does not have it.
    """
    from latxa_cli.evaluation.answering.model import EngineModel, LocalModel
    from latxa_cli.evaluation.answering.wording import Manner
    from latxa_cli.generation.engine import open_engine

    manner = Manner(None if settings.thinking is None else settings.thinking == "on", settings.max_tokens)
    options = settings.engine
    if options is None or options.engine == "transformers":
        scorer = load(
            model,
            device=settings.device,
            batch_size=settings.batch_size,
            day=settings.day,
            trust_remote_code=settings.trust_remote_code,
            console=console,
        )
        if manner == Manner() and settings.format not in ("generate", "cot"):
            return scorer
        from latxa_cli.generation.transformers import BATCH_SIZE, TransformersEngine

        writer: Any = TransformersEngine(
            model, scorer.tokenizer, scorer.model.eval(), settings.batch_size or BATCH_SIZE
        )
        return LocalModel(scorer, writer, manner, seed=settings.seed)
    options = replace(options, day=settings.day, say=unmuted(options.say))
    return EngineModel(open_engine(model, options), manner, seed=settings.seed, in_process=options.engine != "openai")


def circumstances(model: LM, settings: Settings) -> JsonObject:
    """Return what every answer of a model depends on beside its request and its weights."""
    own: JsonObject = model.circumstances() if hasattr(model, "circumstances") else {}
    if not hasattr(model, "model"):  # the engine has it
        return own
    scored = {
        "number type": str(model.model.dtype),
        "device": str(model.device.type),
        "context": model.max_length,
        "batch size": settings.batch_size,
    }
    return {**scored, **own}


def is_server(model: LM) -> bool:
    """Whether a server answers for the model."""
    from latxa_cli.evaluation.answering.model import EngineModel

    return isinstance(model, EngineModel) and model.encoder is None


def scorer_of(model: LM) -> HFLM:
    """Return what predicts texts, which is our scorer (see `for_models`)."""
    return getattr(model, "scorer", model)  # type: ignore[return-value]


def keep(model: LM, kept: Kept) -> None:
    """Have a model keep its answers; the harness's own loop keeps none."""
    model.kept = kept  # type: ignore[attr-defined]
    if hasattr(model, "scorer"):
        model.scorer.kept = kept


def cut(model: LM) -> int:
    """Return how many prompts were longer than the context of our scorer since this was last asked."""
    model = getattr(model, "scorer", model)
    count, model.cut = getattr(model, "cut", 0), 0  # type: ignore[attr-defined]
    return int(count)
