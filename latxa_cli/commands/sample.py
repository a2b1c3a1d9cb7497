"""`latxa sample`: instructions and answers drawn from a model (Magpie), or answers to prompts."""

from typing import Annotated, Literal

import typer

from latxa_cli.options import (
    BatchSize,
    Device,
    DryRun,
    EngineName,
    Files,
    Model,
    Run,
    Seed,
    Shard,
    Take,
    TopP,
    TrustRemoteCode,
    verb,
)  # fmt: skip
from latxa_cli.stream.errors import UsageError

Temperature = Annotated[
    float, typer.Option(min=0.0, help="Temperature of the instruction; 0 takes the likeliest token.")
]
AnswerTemperature = Annotated[float, typer.Option(min=0.0, help="Temperature of the answer.")]


@verb
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
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    answer_temperature: AnswerTemperature = 0.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest instruction and longest answer, in tokens.")] = 1024,
    seed: Seed = 0,
    take: Take = None,
    shard: Shard = None,
    engine: EngineName = "auto",
    batch_size: BatchSize = 32,
    device: Device = None,
    trust_remote_code: TrustRemoteCode = False,
    dry_run: DryRun = False,
) -> None:
    """Draw instructions and answers from a model, or answer prompts.

    in:  nothing (magpie), or prompts: `messages` that end in a user turn, or `prompt` (respond)
    out: conversations (magpie), or responses: conversations with `model` (respond)

    Magpie gives the model only what its own chat template writes before a user's first word; the model goes on with
    an instruction, then answers it.

    rejected: unfinished, empty or special token in the instruction or answer (magpie); longer than the context

    examples:
      latxa sample -m models/instruct_en -n 1000 --seed 7 > en.jsonl
      latxa sample --method respond -m models/exp_2_111 prompts.jsonl -o responses.jsonl
    """
    from latxa_cli import chat
    from latxa_cli.generation.engine import Decoding, EngineOptions, open_engine
    from latxa_cli.generation.preflight import preview
    from latxa_cli.model import short_name
    from latxa_cli.sampling.magpie import Magpie, draw
    from latxa_cli.sampling.respond import respond

    if method == "magpie" and (count is None or files):
        raise UsageError(
            "`--method magpie` takes `-n COUNT` and no FILE", hint="`--method respond` answers the prompts of FILEs"
        )
    if method == "respond" and count is not None:
        raise UsageError("`-n` goes with `--method magpie`", hint="`--take N` answers N of the prompts")
    prompts = run.read(files, "prompt", take=take) if method == "respond" else iter(())
    run.depends_on(model)
    generator = open_engine(model, EngineOptions(engine, batch_size, device, trust_remote_code))
    run.note(engine=generator.facts())
    answer = Decoding(max_tokens, answer_temperature, top_p)
    if method == "magpie":
        query = chat.pre_query(generator.tokenizer, system=system, default_system=template_system)
        markers = chat.special_tokens(generator.tokenizer)
        how = Magpie(query, Decoding(max_tokens, temperature, top_p), answer, seed, short_name(model), markers, system)
        run.note(pre_query=query.prefix)
        outcomes = draw(run.items(range(count or 0)), generator, how)
    else:
        outcomes = respond(prompts, generator, answer, seed=seed, model=short_name(model))
    if dry_run:
        preview(run.say, outcomes, total=count)
    else:
        run.write(run.watched(outcomes, total=count), burst=generator.window)
