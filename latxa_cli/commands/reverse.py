"""`latxa reverse`: a model's instructions to which texts by people are the answers."""

from typing import Annotated

from latxa_cli.options import (
    DryRun,
    Embedder,
    EngineOptions,
    Files,
    InstructionLanguage,
    MaxTokens,
    Model,
    Run,
    Seed,
    Shard,
    Similarity,
    Skip,
    Tag,
    Take,
    Temperature,
    TemplateDate,
    Thinking,
    TopP,
    excludes,
    flag,
    needs,
    verb,
)  # fmt: skip

CONDITIONS = (
    needs("similarity", "embedder", hint="`--embedder MODEL` compares what they mean"),
    excludes("top_p", ("temperature", 0.0), hint="at temperature 0 the likeliest token is taken"),
    excludes("thinking", "shots", hint="a base model, which is shown pairs, does not think aloud"),
    excludes("date", "shots", hint="a base model, which is shown pairs, needs no chat template"),
)


@verb(generates=True, conditions=CONDITIONS)
def reverse(
    run: Run,
    files: Files = None,
    *,
    model: Model,
    source_name: Annotated[str, flag("The texts' language, as the prompt names it.", "--from", metavar="NAME")],
    target_name: Annotated[str, flag("The instructions' language.", "--to", metavar="NAME")] = "English",
    shots: Annotated[str | None, flag("Example conversations for a base model.", metavar="FILE")] = None,
    longest: Annotated[int, flag("Words after which a text is cut, at the end of a paragraph.", min=1)] = 400,
    thinking: Thinking = None,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    max_tokens: MaxTokens = 1024,
    language: InstructionLanguage = None,
    skip: Skip = None,
    tag: Tag = None,
    embedder: Embedder = None,
    similarity: Similarity = None,
    date: TemplateDate = None,
    seed: Seed = 0,
    take: Take = None,
    shard: Shard = None,
    engine: EngineOptions,
    dry_run: DryRun = False,
) -> None:
    """Write the instructions that native texts answer.

    in:  documents
    out: conversations of an instruction by the model and the text as its answer

    filters, each a reason in --rejects:
      short, beginning, colon   fewer than 3 words; begins in the middle; ends in a colon
      role, loop                holds another turn; ends in a loop
      duplicate, near           the same as an earlier instruction, or nearly
      quality                   average or worse, by the model's own rating (with --tag quality)
      always                    unfinished; empty; holds a special token; not in --language

    examples:
      latxa reverse -m models/instruct_en --from Basque eu.jsonl -o reverse.jsonl
      latxa reverse -m models/base_en --shots shots.jsonl --from Basque --take 20000 eu.jsonl > reverse.jsonl
    """
    from latxa_cli.generation.delivery import deliver, note_engine
    from latxa_cli.generation.engine import Decoding, open_engine
    from latxa_cli.generation.preflight import first, share
    from latxa_cli.generation.speaker import speaker_of
    from latxa_cli.sampling import reverse as room
    from latxa_cli.sampling.filters import OF_INSTRUCTIONS
    from latxa_cli.sampling.selection import say_unread, select

    run.depends_on(model)
    selection = select(
        run, OF_INSTRUCTIONS, language=language, skip=skip, tag=tag, embedder=embedder, similarity=similarity
    )
    documents = run.read(files, "document", take=take)
    pairs = room.shots_of(run.read_all(shots, "conversation"), shots) if shots else []
    generator = open_engine(model, engine.on(run.day(date)))
    decoding = Decoding(max_tokens, temperature, top_p)
    note_engine(run, generator)
    run.note(decoding=decoding.as_dict())
    speaker = speaker_of(model, generator.tokenizer, thinking)
    filters, tagger = selection.filters(speaker), selection.tagger(speaker)
    reversal = room.Reversal(
        decoding, filters, source_name, target_name, pairs, longest, seed, speaker.name, speaker.thinking, tagger
    )
    outcomes = room.reverse(first(documents) if dry_run else documents, generator, reversal)
    before = () if dry_run else run.already_written()
    outcomes = selection.without_repeats(outcomes, before, device=engine.device)
    deliver(run, generator, outcomes, total=share(take, shard), dry_run=dry_run)
    say_unread(run, tagger)
