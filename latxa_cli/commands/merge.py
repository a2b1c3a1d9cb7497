"""`latxa merge`: task arithmetic on weights."""

import math
from typing import Annotated

from latxa_cli.options import Run, argument, flag, verb
from latxa_cli.stream.errors import UsageError

Base = Annotated[str, argument("The base: a model directory, or a name on the hub.", "MODEL")]
Plus = Annotated[str, flag("A model with a skill, such as an instruct model.", metavar="MODEL")]
Minus = Annotated[str, flag("The model from which that was trained.", metavar="MODEL")]
Scale = Annotated[float, flag("The factor of the difference; 0 gives MODEL itself.", metavar="X")]


@verb(makes="directory")
def merge(run: Run, model: Base, *, plus: Plus, minus: Minus, scale: Scale = 1.0) -> None:
    """Add the skill of one model to another by arithmetic on weights.

    in:  three models of one architecture and size (safetensors): MODEL, such as a base model continued on a language;
         an instruct model (--plus); and the base model from which both were trained (--minus)
    out: a directory with the weights MODEL + scale * (plus - minus), in the dtype of MODEL

    Nothing is trained, and no GPU is needed. Chat template and settings of generation are those of --plus, and so is
    the tokenizer if MODEL has no tokens of its own. Rows of the vocabulary are matched by their tokens. Tokens that
    only MODEL has keep their rows. Then the tokenizer is that of MODEL, and must know the special tokens of --plus.
    Tokens that --plus has and --minus has not get the rows of --plus.

    memory: some hundred MB for libraries and tokenizers, whatever the size of the models

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
    for setting in planned.different:
        words = arithmetic.describe(setting, (planned.base, planned.plus, planned.minus))
        run.say(f"warning: {words}: the result computes as `{model}` does")
    total = len(planned.parts)
    facts = arithmetic.merge(
        planned, run.directory, scale=scale, parts=run.items(planned.parts), report=lambda n: run.progress(n, total)
    )
    run.note(**facts)
    rows = facts["rows"]
    if not facts["delta"]:
        run.say(f"warning: the weights of `{plus}` and `{minus}` are the same: nothing is added")
    run.say(f"{facts['parameters']:,} parameters; plus - minus is {facts['delta']:.2%} of the base in norm")
    run.say(
        f"vocabulary: {rows['merged']:,} rows merged, {rows['kept']:,} kept as in `{model}`"
        + (f", {rows['taken']:,} taken from `{plus}`" if rows["taken"] else "")
    )
