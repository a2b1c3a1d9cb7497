"""`latxa sample`: instructions and answers from a model alone (Magpie)."""

from typing import Annotated

from latxa_cli.options import (
    DryRun,
    Embedder,
    EngineOptions,
    InstructionLanguage,
    Model,
    Run,
    Seed,
    Shard,
    Similarity,
    Skip,
    Tag,
    TemplateDate,
    Thinking,
    excludes,
    flag,
    needs,
    verb,
)  # fmt: skip

CONDITIONS = (
    needs("similarity", "embedder", hint="`--embedder MODEL` compares what they mean"),
    needs("answer_top_p", "answer_temperature", "task", hint="the tasks that come with latxa answer at temperature 0"),
    excludes("top_p", ("temperature", 0.0), hint="at temperature 0 the likeliest token is taken"),
    excludes("answer_top_p", ("answer_temperature", 0.0), hint="at temperature 0 the likeliest token is taken"),
)


@verb(generates=True, conditions=CONDITIONS)
def sample(
    run: Run,
    *,
    model: Model,
    count: Annotated[int, flag("Conversations to draw.", "-n", "--count", metavar="N", min=1, max=2**53)],
    take: Annotated[int | None, flag("Stop when N are kept.", metavar="N", min=1)] = None,
    task: Annotated[
        list[str] | None,
        flag("A task above, a `.toml` file or folder; repeat it.", metavar="NAME|FILE"),
    ] = None,
    turns: Annotated[int, flag("Instructions in each conversation.", min=1)] = 1,
    system: Annotated[
        str | None,
        flag("The system message; \"\" is none, not the template's own either. [default: the task's]", metavar="TEXT"),
    ] = None,
    thinking: Thinking = None,
    temperature: Annotated[float | None, flag("Of instructions. [default: the task's]", min=0.0, max=100.0)] = None,
    top_p: Annotated[float | None, flag("Of instructions. [default: the task's]", min=0.0, max=1.0)] = None,
    max_tokens: Annotated[int | None, flag("Of instructions. [default: the task's]", min=1, max=1 << 31)] = None,
    answer_temperature: Annotated[float | None, flag("Of answers. [default: the task's]", min=0.0, max=100.0)] = None,
    answer_top_p: Annotated[float | None, flag("Of answers. [default: the task's]", min=0.0, max=1.0)] = None,
    answer_max_tokens: Annotated[int | None, flag("Of answers. [default: --max-tokens]", min=1, max=1 << 31)] = None,
    language: InstructionLanguage = None,
    skip: Skip = None,
    tag: Tag = None,
    embedder: Embedder = None,
    similarity: Similarity = None,
    date: TemplateDate = None,
    seed: Seed = 0,
    shard: Shard = None,
    engine: EngineOptions,
    dry_run: DryRun = False,
) -> None:
    """Draw instructions and answers from a model (Magpie).

    in:  nothing
    out: conversations

    The prompt is the text that the model's chat template writes before a user's first word. The model
    continues it with an instruction, and then answers that.

    tasks: general (the default), code, math, arithmetic, translation. All but general have a system
    message. Instructions are drawn at temperature 1, answers at 0.

    filters, each a reason in --rejects:
      short, beginning, colon   fewer than 3 words; begins in the middle; ends in a colon
      role, loop, refusal       holds another turn; ends in a loop; has an answer that refuses
      duplicate, near           the same as an earlier instruction, or nearly
      quality                   average or worse, by the model's own rating (with --tag quality)
      always                    unfinished; empty; holds a special token; not in --language

    examples:
      latxa sample -m models/instruct_en -n 1000 --seed 7 > en.jsonl
      latxa sample -m models/instruct_en -n 100000 --task general --task code -o en.jsonl.zst --resume
    """
    from latxa_cli.generation.delivery import deliver, note_engine
    from latxa_cli.generation.engine import open_engine
    from latxa_cli.generation.preflight import RECORDS, share
    from latxa_cli.generation.speaker import speaker_of
    from latxa_cli.sampling.filters import FILTERS
    from latxa_cli.sampling.magpie import Magpie, check_further_turns, draw, query_of
    from latxa_cli.sampling.selection import say_unread, select
    from latxa_cli.sampling.tasks import FOLDER, GENERAL, load_tasks, some_of_each
    from latxa_cli.stream.tables import own_files

    selection = select(run, FILTERS, language=language, skip=skip, tag=tag, embedder=embedder, similarity=similarity)
    tasks = load_tasks(task or [GENERAL])
    run.depends_on(model, *own_files("--task", task or [], FOLDER))
    generator = open_engine(model, engine.on(run.day(date)))
    note_engine(run, generator)
    speaker = speaker_of(model, generator.tokenizer, thinking)
    of_instructions = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
    longest = answer_max_tokens or max_tokens
    of_answers = {"temperature": answer_temperature, "top_p": answer_top_p, "max_tokens": longest}
    tasks = [one.changed(system, of_instructions, of_answers) for one in tasks]
    query = query_of(generator.tokenizer, template_system=system != "", thinking=speaker.thinking)
    if turns > 1:
        check_further_turns(query, tasks)
    run.note(tasks={one.name: one.as_dict() | {"pre_query": query((), one.system).prefix} for one in tasks})
    filters, tagger = selection.filters(speaker), selection.tagger(speaker)
    magpie = Magpie(query, tasks, filters, seed, speaker.name, turns, speaker.can_think, tagger)
    draws = run.items(range(count))
    outcomes = draw(some_of_each(draws, tasks, seed, RECORDS) if dry_run else draws, generator, magpie)
    outcomes = selection.without_repeats(outcomes, () if dry_run else run.already_written(), device=engine.device)
    deliver(run, generator, outcomes, total=share(count, shard), most=share(take, shard), dry_run=dry_run)
    say_unread(run, tagger)
