"""`latxa sample`: instructions and answers drawn from a model (Magpie), or answers to prompts."""

from typing import Annotated, Literal

import typer

from latxa_cli.options import (
    DryRun,
    EngineOptions,
    Files,
    Model,
    Run,
    Seed,
    Shard,
    Take,
    TopP,
    verb,
)  # fmt: skip
from latxa_cli.stream.errors import UsageError

Temperature = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        help="Temperature of the instruction (magpie) or of the answer (respond); 0 takes the likeliest token. "
        "[default: 1 for magpie, 0 for respond]",
        show_default=False,
    ),
]
AnswerTemperature = Annotated[
    float | None,
    typer.Option(min=0.0, help="Temperature of the answer (magpie). [default: 0]", show_default=False),
]


@verb(generates=True)
def sample(
    run: Run,
    files: Files = None,
    *,
    model: Model,
    method: Annotated[
        Literal["magpie", "respond"], typer.Option(help="Draw instructions, or answer prompts.")
    ] = "magpie",
    count: Annotated[int | None, typer.Option("-n", "--count", min=1, help="Conversations to draw (magpie).")] = None,
    system: Annotated[str | None, typer.Option(metavar="TEXT", help="A system message to draw under (magpie).")] = None,
    template_system: Annotated[
        bool, typer.Option(help="Keep the system block that the template adds by itself (magpie).")
    ] = True,
    temperature: Temperature = None,
    top_p: TopP = 1.0,
    answer_temperature: AnswerTemperature = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest instruction and longest answer, in tokens.")] = 1024,
    seed: Seed = 0,
    take: Take = None,
    shard: Shard = None,
    engine: EngineOptions,
    dry_run: DryRun = False,
) -> None:
    """Draw instructions and answers from a model, or answer prompts.

    in:  nothing (magpie), or prompts: `messages` that end in a user turn, or `prompt` (respond)
    out: conversations (magpie), or responses: conversations with `model` (respond)

    Magpie gives the model only what its own chat template writes before a user's first word; the model goes on with
    an instruction, then answers it.

    rejected: unfinished, empty or special token in the instruction or answer (magpie); special token in the prompt,
    or refused by the chat template (respond); longer than the context

    examples:
      latxa sample -m models/instruct_en -n 1000 --seed 7 > en.jsonl
      latxa sample --method respond -m models/exp_2_111 prompts.jsonl -o responses.jsonl
    """
    from latxa_cli import chat
    from latxa_cli.generation.engine import Decoding, open_engine
    from latxa_cli.generation.preflight import first, preview, share
    from latxa_cli.model import short_name
    from latxa_cli.sampling.magpie import Magpie, draw
    from latxa_cli.sampling.respond import respond

    if method == "magpie" and (count is None or files):
        raise UsageError(
            "`--method magpie` takes `-n COUNT` and no FILE", hint="`--method respond` answers the prompts of FILEs"
        )
    if method == "magpie" and take is not None:
        raise UsageError("`--take` goes with `--method respond`", hint="`-n N` draws N conversations")
    if method == "respond" and count is not None:
        raise UsageError("`-n` goes with `--method magpie`", hint="`--take N` answers N of the prompts")
    if method == "respond" and answer_temperature is not None:
        raise UsageError("`--answer-temperature` goes with `--method magpie`", hint="say `--temperature`")
    if method == "respond" and (system is not None or not template_system):
        raise UsageError(
            "`--system` and `--no-template-system` go with `--method magpie`",
            hint="give each prompt its system message in `messages`",
        )
    prompts = run.read(files, "prompt", take=take) if method == "respond" else iter(())
    run.depends_on(model)
    generator = open_engine(model, engine)
    run.note(engine=generator.facts())
    markers = chat.special_tokens(generator.tokenizer)
    if method == "magpie":
        instruction = Decoding(max_tokens, 1.0 if temperature is None else temperature, top_p)
        answer = Decoding(max_tokens, answer_temperature or 0.0, top_p)
        query = chat.pre_query(generator.tokenizer, system=system, default_system=template_system)
        how = Magpie(query, instruction, answer, seed, short_name(model), markers, system)
        run.note(pre_query=query.prefix, temperature=instruction.temperature, answer_temperature=answer.temperature)
        draws = run.items(range(count or 0))
        outcomes = draw(first(draws) if dry_run else draws, generator, how)
    else:
        answer = Decoding(max_tokens, temperature or 0.0, top_p)
        run.note(temperature=answer.temperature)
        given = first(prompts) if dry_run else prompts
        outcomes = respond(given, generator, answer, seed=seed, model=short_name(model), markers=markers)
    if dry_run:
        preview(run.say, outcomes, total=share(count or take, shard))
    else:
        run.write(run.watched(outcomes, total=share(count, shard)), burst=generator.window)
