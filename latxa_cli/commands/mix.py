"""`latxa mix`: from a corpus and instruction data to one training mix."""

from collections.abc import Callable
from typing import Annotated

import typer

from latxa_cli.options import Run, Seed, Take, verb

Inputs = Annotated[
    list[str],
    typer.Argument(metavar="NAME=FILE", help="Inputs; a variant knows `corpus=`, `en=` and one more (`eu=`)."),
]
VariantCode = Annotated[
    str | None,
    typer.Option("--variant", metavar="exp_B_CTE", help="Take the inputs that this variant names.", show_default=False),
]
Tokenizer = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="Count tokens too, by the tokenizer of this model.", show_default=False),
]


@verb(makes="whole")
def mix(
    run: Run,
    inputs: Inputs,
    *,
    variant: VariantCode = None,
    seed: Seed = 0,
    take: Take = None,
    tokenizer: Tokenizer = None,
) -> None:
    """Mix documents and conversations into training data.

    in:  documents and conversations, each input under a name
    out: all of them in one random order, the name before each record's `source`

    variant: B is the backbone (0 base, 1 adapted base, 2 instructed); C, T and E are 1
             for data to train on: corpus, target-language and English instructions

    rejected: duplicate id (a second record with the same source and id)

    The order depends on the seed, sources and ids alone. Holds the mix in memory.

    examples:
      latxa mix corpus=eu.jsonl eu=eu_inst.jsonl en=en_inst.jsonl --variant exp_2_111 -o mix.jsonl
      latxa corpus dump.jsonl --language cy | latxa mix corpus=- cy=cy_inst.jsonl --take 1000 > mix.jsonl
    """
    from latxa_cli import variants
    from latxa_cli.mixing.mix import Shares, choose, parse_inputs
    from latxa_cli.mixing.mix import mix as mixed

    named = parse_inputs(inputs)
    left_out: list[str] = []
    if variant is not None:
        named, left_out = choose(named, variants.parse(variant))
    for name in left_out:
        run.say(f"`{name}` is left out: `{variant}` does not name it")
    shares = Shares(named, _token_counter(run, tokenizer))
    sources = {name: run.read([file], ("document", "conversation")) for name, file in named.items()}
    run.write(shares.counted(mixed(sources, seed, take)))
    for line in shares.lines():
        run.say(line)
    run.note(sources=shares.as_dict(), left_out=left_out)
    if take is not None:
        not_taken = run.counts.read - run.counts.written - run.counts.rejected.total()
        run.note(**{"not taken": not_taken})
        run.say(f"{not_taken:,} records not taken")


def _token_counter(run: Run, name: str | None) -> Callable[[list[str]], list[int]] | None:
    if name is None:
        return None
    from latxa_cli.model import load_tokenizer

    run.depends_on(name)
    tokenizer = load_tokenizer(name)

    def count(texts: list[str]) -> list[int]:
        # `verbose=False`: a text longer than the model's window is no cause for a warning here.
        return [len(ids) for ids in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]]

    return count
