"""`latxa respond`: a model's answers to prompts, for judges, arenas and training."""

from latxa_cli.options import (
    DryRun,
    EngineOptions,
    Files,
    MaxTokens,
    Model,
    Run,
    Seed,
    Shard,
    Take,
    Temperature,
    TemplateDate,
    Thinking,
    TopP,
    excludes,
    verb,
)  # fmt: skip


@verb(
    generates=True,
    conditions=[excludes("top_p", ("temperature", 0.0), hint="at temperature 0 the likeliest token is taken")],
)
def respond(
    run: Run,
    files: Files = None,
    *,
    model: Model,
    thinking: Thinking = None,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    max_tokens: MaxTokens = 1024,
    date: TemplateDate = None,
    seed: Seed = 0,
    take: Take = None,
    shard: Shard = None,
    engine: EngineOptions,
    dry_run: DryRun = False,
) -> None:
    """Answer prompts with a model.

    in:  prompts: `messages` that end in a user turn, or `prompt`, or the lines of a `.txt` file
    out: responses: conversations with `model`

    No answer is filtered, so that a model without an answer loses its battle. A prompt is rejected if
    it is too long, refused by the chat template or the server, or holds the text of a special token.

    examples:
      latxa respond -m models/exp_2_111 prompts.jsonl -o responses.jsonl
      latxa respond -m models/exp_2_111 --temperature 0.7 --top-p 0.9 questions.txt > responses.jsonl
    """
    from latxa_cli.generation.delivery import deliver, note_engine
    from latxa_cli.generation.engine import Decoding, open_engine
    from latxa_cli.generation.preflight import first, share
    from latxa_cli.generation.speaker import speaker_of
    from latxa_cli.sampling import respond as room

    run.depends_on(model)
    prompts = run.read(files, "prompt", take=take)
    generator = open_engine(model, engine.on(run.day(date)))
    decoding = Decoding(max_tokens, temperature, top_p)
    note_engine(run, generator)
    run.note(decoding=decoding.as_dict())
    speaker = speaker_of(model, generator.tokenizer, thinking)
    outcomes = room.respond(first(prompts) if dry_run else prompts, generator, decoding, speaker, seed=seed)
    deliver(run, generator, outcomes, total=share(take, shard), dry_run=dry_run)
