"""`latxa merge`: task arithmetic on weights."""

import math
from typing import Annotated

from latxa_cli.options import Run, argument, flag, verb
from latxa_cli.stream.errors import UsageError

Base = Annotated[str, argument("What is added to: a model directory, or a name on the hub.", "MODEL")]
Plus = Annotated[str, flag("The model that has learnt more, such as an instruct model.", metavar="MODEL")]
Minus = Annotated[str, flag("The model that it was made from.", metavar="MODEL")]
Scale = Annotated[float, flag("How often the difference is added; 0 gives MODEL itself.", metavar="X")]


@verb(makes="directory")
def merge(run: Run, model: Base, *, plus: Plus, minus: Minus, scale: Scale = 1.0) -> None:
    """Add to a model what another has learnt, by arithmetic on weights.

    in:  three models of one architecture and size (safetensors): MODEL, such as a base model continued on a language,
         an instruct model (--plus), and the base model that both were made from (--minus)
    out: a directory with the weights MODEL + scale * (plus - minus), in the dtype of MODEL; tokenizer, chat template
         and settings of generation are those of --plus

    Nothing is trained. Rows of the vocabulary are matched by their tokens: those that MODEL alone has stay as they are,
    and if it has any, its tokenizer is the result's and must know the special tokens of --plus.

    memory: some hundred MB for libraries and tokenizers, however large the models are; no GPU

    examples:
      latxa merge base_eu --plus instruct_en --minus base_en -o instruct_eu
      latxa merge base_eu --plus instruct_en --minus base_en --scale 0.5 -o instruct_eu_half
    """
    if not math.isfinite(scale):
        raise UsageError(f"`--scale {scale}` is not a finite number", hint="1 adds the difference once")
    from latxa_cli.model import check, has_chat_template
    from latxa_cli.models import merge as arithmetic

    for name in dict.fromkeys((model, plus, minus)):
        check(name)
        run.depends_on(name)
    planned = arithmetic.plan(*(arithmetic.load(name) for name in (model, plus, minus)))
    if not has_chat_template(planned.plus.directory):
        run.say(f"warning: `{plus}` has no chat template")
    total = len(planned.parts)
    facts = arithmetic.merge(
        planned, run.directory, scale=scale, parts=run.items(planned.parts), report=lambda n: run.progress(n, total)
    )
    run.note(**facts)
    rows = facts["rows"]
    run.say(f"{facts['parameters']:,} parameters; plus - minus is {facts['delta']:.2%} of the base in norm")
    run.say(
        f"vocabulary: {rows['merged']:,} rows merged, {rows['kept']:,} kept as in `{model}`"
        + (f", {rows['taken']:,} taken from `{plus}`" if rows["taken"] else "")
    )
