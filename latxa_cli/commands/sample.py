"""`latxa sample`: instructions and answers drawn from a model, instructions for native texts, or answers to prompts."""

from typing import Annotated, Any, Literal

import typer

from latxa_cli.options import (
    DryRun,
    EngineOptions,
    Files,
    Model,
    Run,
    Seed,
    Shard,
    verb,
)  # fmt: skip
from latxa_cli.stream.errors import UsageError

Method = Literal["magpie", "respond", "reverse"]

# Flags that some methods alone have.
_OF_METHODS: dict[str, tuple[Method, ...]] = {
    "-n": ("magpie",), "--task": ("magpie",), "--turns": ("magpie",), "--system": ("magpie",),
    "--no-template-system": ("magpie",), "--answer-temperature": ("magpie",), "--answer-top-p": ("magpie",),
    "--answer-max-tokens": ("magpie",), "--skip": ("magpie", "reverse"), "--language": ("magpie", "reverse"),
    "--tag": ("magpie", "reverse"), "--embedder": ("magpie", "reverse"), "--from": ("reverse",), "--to": ("reverse",),
    "--shots": ("reverse",), "--longest": ("reverse",),
}  # fmt: skip

_INSTEAD = {
    ("respond", "-n"): "`--take N` answers N of the prompts",
    ("reverse", "-n"): "`--take N` takes N of the documents",
    ("respond", "--answer-temperature"): "say `--temperature`",
    ("respond", "--system"): "give each prompt its system message in `messages`",
}


def _number(text: str, **given: Any) -> Any:
    return typer.Option(help=text, show_default=False, **given)


@verb(generates=True)
def sample(
    run: Run,
    files: Files = None,
    *,
    model: Model,
    method: Annotated[
        Method, typer.Option(help="Draw instructions and answers, answer prompts, or ask for what texts answer.")
    ] = "magpie",
    count: Annotated[
        int | None, typer.Option("-n", "--count", min=1, max=2**53, help="Conversations to draw (magpie).")
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|FILE",
            help="What to draw (magpie): `general`, `code`, `math`, `arithmetic`, `translation`, a `.toml` file or a "
            "folder of them; repeat it. [default: general]",
            show_default=False,
        ),
    ] = None,
    turns: Annotated[int, typer.Option(min=1, help="Instructions of each conversation (magpie).")] = 1,
    system: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A system message to draw under (magpie).", show_default=False)
    ] = None,
    template_system: Annotated[
        bool, typer.Option(help="Keep the system block that the template adds by itself (magpie).")
    ] = True,
    thinking: Annotated[
        Literal["on", "off"] | None,
        typer.Option(help="Whether a model that can is to think aloud before its answer.", show_default=False),
    ] = None,
    temperature: Annotated[
        float | None,
        _number(
            "Of the instruction, or of the answer (respond); 0: the likeliest. [default: the task's, or 0]",
            min=0.0,
            max=100.0,
        ),
    ] = None,
    top_p: Annotated[
        float | None,
        _number("Sample among the likeliest tokens of this probability. [default: the task's, or 1]", min=0.0, max=1.0),
    ] = None,
    max_tokens: Annotated[
        int | None, _number("Longest instruction and answer. [default: the task's, or 1024]", min=1, max=1 << 31)
    ] = None,
    answer_temperature: Annotated[
        float | None, _number("Of the answer (magpie). [default: the task's]", min=0.0, max=100.0)
    ] = None,
    answer_top_p: Annotated[
        float | None, _number("Of the answer (magpie). [default: the task's]", min=0.0, max=1.0)
    ] = None,
    answer_max_tokens: Annotated[
        int | None, _number("Longest answer (magpie). [default: --max-tokens]", min=1, max=1 << 31)
    ] = None,
    source_name: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME", help="The language of the texts (reverse).", show_default=False),
    ] = None,
    target_name: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="NAME", help="That of the instructions (reverse). [default: English]", show_default=False
        ),
    ] = None,
    shots: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Conversations to show a base model (reverse).", show_default=False),
    ] = None,
    longest: Annotated[
        int, typer.Option(min=1, help="Words of a text, which is cut where a paragraph ends (reverse).")
    ] = 400,
    language: Annotated[
        str | None,
        typer.Option(
            "--language", "-l", metavar="CODE", help="Keep instructions in this language only.", show_default=False
        ),
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(metavar="FILTER", help="Leave this filter out; repeat it.", show_default=False)
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|FILE",
            help="What the model is to say of each instruction: `quality`, `difficulty`, `category`, or a `.toml` file "
            "or folder; repeat it.",
            show_default=False,
        ),
    ] = None,
    embedder: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Reject what means the same to this embedding model too.", show_default=False
        ),
    ] = None,
    similarity: Annotated[
        float | None,
        _number("Cosine from which two instructions mean the same. [default: 0.975]", min=0.0, max=1.0),
    ] = None,
    seed: Seed = 0,
    take: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Stop when N are kept (magpie); else: draw N of the records.", show_default=False
        ),
    ] = None,
    shard: Shard = None,
    engine: EngineOptions,
    dry_run: DryRun = False,
) -> None:
    """Draw instructions and answers from a model, or answer prompts.

    in:  nothing (magpie); documents (reverse); prompts (respond): `messages` that end in a user
         turn, or `prompt`, or the lines of a `.txt` file
    out: conversations; with `model`: responses (respond)

    magpie   gives the model only what its own chat template writes before a user's first word; the
             model goes on with an instruction, then answers it
    reverse  gives it a text that people wrote; it writes the instruction that the text answers
    respond  lets it answer prompts; nothing is filtered, so that silent models lose their battles

    filters (magpie, reverse), each a reason in --rejects:
      short, beginning, colon   of fewer than 3 words; begins in the middle; ends in a colon
      role, loop, refusal       another turn begins in it; ends in a loop; an answer that refuses
      language                  the instruction is in another language than --language
      duplicate, near           the instruction was there before, or nearly
      quality                   the model itself finds it average or worse (with --tag quality)
      always                    unfinished, empty, or a special token of the model in it

    examples:
      latxa sample -m models/instruct_en -n 1000 --seed 7 > en.jsonl
      latxa sample -m models/instruct_en -n 100000 --task general --task code -o en.jsonl.zst --resume
      latxa sample --method reverse -m models/instruct_en --from Basque eu.jsonl -o reverse.jsonl
      latxa sample --method respond -m models/exp_2_111 prompts.jsonl -o responses.jsonl
    """
    from functools import cache, partial

    from latxa_cli import chat
    from latxa_cli.generation.engine import Decoding, open_engine
    from latxa_cli.generation.preflight import RECORDS, first, preview, share
    from latxa_cli.model import check, short_name
    from latxa_cli.sampling.filters import Filters, check_filters
    from latxa_cli.sampling.magpie import Magpie, draw
    from latxa_cli.sampling.respond import respond
    from latxa_cli.sampling.reverse import Reverse, reverse
    from latxa_cli.sampling.settings import own_files
    from latxa_cli.sampling.tags import FOLDER as TAGS
    from latxa_cli.sampling.tags import Tagger, load_tags
    from latxa_cli.sampling.tasks import FOLDER as TASKS
    from latxa_cli.sampling.tasks import GENERAL, load_tasks, some_of_each
    from latxa_cli.stream.run import watched

    given = {
        "-n": count, "--task": task, "--turns": turns > 1, "--system": system,
        "--no-template-system": not template_system, "--answer-temperature": answer_temperature,
        "--answer-top-p": answer_top_p, "--answer-max-tokens": answer_max_tokens, "--skip": skip,
        "--language": language, "--tag": tag, "--embedder": embedder, "--from": source_name, "--to": target_name,
        "--shots": shots, "--longest": longest != 400,
    }  # fmt: skip
    _check(method, given, files)
    if embedder and "duplicate" in (skip or []):
        raise UsageError(
            "`--embedder` finds repeats, and `--skip duplicate` lets them be", hint="leave one of them out"
        )
    if similarity is not None and not embedder:
        raise UsageError("`--similarity` goes with `--embedder`", hint="`--embedder MODEL` compares what they mean")
    if embedder:
        check(embedder)
    tags = load_tags(tag or [])
    check_filters(skip or [], [one.name for one in tags], language)
    run.depends_on(model)
    run.depends_on(embedder)
    for path in (*own_files("--task", task or [], TASKS), *own_files("--tag", tag or [], TAGS)):
        run.depends_on(path)
    if method == "magpie":
        tasks = load_tasks(task or [GENERAL])
    else:
        units = run.read(files, "prompt" if method == "respond" else "document", take=take)
    pairs = [_shot(record, shots) for record in run.read_all(shots, "conversation")] if shots else []
    if shots and not pairs:
        raise UsageError(f"`--shots {shots}` holds none", hint="conversations: the answer is a text of the language")
    generator = open_engine(model, engine)
    tokenizer = generator.tokenizer
    run.note(engine=generator.facts())
    if tokenizer is None and method == "magpie":
        raise UsageError("magpie needs the model's chat template", hint="`--engine-option tokenizer=MODEL` names it")
    thinks = None if thinking is None else thinking == "on"
    can_think = tokenizer is not None and chat.can_think(tokenizer)
    can_be_told = tokenizer is not None and bool(tokenizer.chat_template) and chat.heeds_thinking(tokenizer)
    if thinks is not None and tokenizer is not None and not can_be_told:
        raise UsageError(f"`--thinking`: the chat template of `{model}` cannot be told", hint="leave it out")
    markers = chat.special_tokens(tokenizer) if tokenizer else frozenset()
    rules, name = Filters(markers, frozenset(skip or []), language), short_name(model)
    tagger = Tagger(tags, False if can_be_told else thinks, can_think and not can_be_told, rules.skip)
    if method == "magpie":
        instruction = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
        answer = {
            "temperature": answer_temperature, "top_p": answer_top_p, "max_tokens": answer_max_tokens or max_tokens,
        }  # fmt: skip
        tasks = [one.changed(system, instruction, answer) for one in tasks]
        query = partial(chat.pre_query, tokenizer, default_system=template_system, thinking=thinks)
        first_query = cache(lambda system: query((), system=system))
        if turns > 1:  # before hours are spent
            example = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
            for one in tasks:
                query(example, system=one.system)
        run.note(tasks={one.name: one.as_dict() | {"pre_query": first_query(one.system).prefix} for one in tasks})
        how = Magpie(
            lambda messages, system: query(messages, system=system) if messages else first_query(system),
            tasks, rules, seed, name, turns, can_think, tagger,
        )  # fmt: skip
        draws = run.items(range(count or 0))
        outcomes = draw(some_of_each(draws, tasks, seed, RECORDS) if dry_run else draws, generator, how)
        total, most = share(count, shard), share(take, shard)
    else:
        decoding = Decoding(max_tokens or 1024, temperature or 0.0, 1.0 if top_p is None else top_p)
        run.note(
            decoding={"max_tokens": decoding.max_tokens, "temperature": decoding.temperature, "top_p": decoding.top_p}
        )
        asked = first(units) if dry_run else units
        total, most = share(take, shard), None
        if method == "respond":
            outcomes = respond(asked, generator, decoding, seed=seed, model=name, markers=markers, thinking=thinks)
        else:
            back = Reverse(
                decoding, rules, source_name or "", target_name or "English", pairs, longest, seed, name, thinks, tagger
            )
            outcomes = reverse(asked, generator, back)
    if method != "respond" and rules.does("duplicate"):
        from latxa_cli.sampling.distinct import Distinct  # its kernels take half a second to load

        seen = Distinct(near=rules.does("near"), meanings=_meanings(embedder, similarity, engine.device))
        if not dry_run:
            seen.remember(run.already_written())
        outcomes = seen.filter(outcomes)
    if dry_run:
        preview(run.say, outcomes, total=total)
    else:
        outcomes = watched(run, outcomes, total=total, tokens=lambda: generator.completion_tokens)
        run.write(outcomes, burst=generator.window, most=most)
        run.note(engine=generator.facts())  # with what was spent
        for tag_name, unread in tagger.unread.items():
            run.say(f"{unread:,} instructions have no `{tag_name}`: the model told none of its labels")


def _meanings(embedder: str | None, similarity: float | None, device: str | None) -> Any:
    if embedder is None:
        return None
    from latxa_cli.sampling.meanings import SIMILARITY, Meanings
    from latxa_cli.text.embedding import Embedder

    return Meanings(Embedder(embedder, device).embed, SIMILARITY if similarity is None else similarity)


def _check(method: Method, given: dict[str, Any], files: list[str] | None) -> None:
    """Raise UsageError for flags that do not go with the method, and for what it lacks."""
    for flag, value in given.items():
        if value is not None and value is not False and method not in _OF_METHODS[flag]:
            others = " or ".join(f"`--method {name}`" for name in _OF_METHODS[flag])
            raise UsageError(f"`{flag}` goes with {others}", hint=_INSTEAD.get((method, flag), ""))
    if method == "magpie" and (not given["-n"] or files):
        raise UsageError(
            "`--method magpie` takes `-n COUNT` and no FILE",
            hint="`--method respond` answers the prompts of FILEs; `--method reverse` asks what their texts answer",
        )
    if method == "reverse" and not given["--from"]:
        raise UsageError("`--method reverse` needs `--from NAME`", hint="the language of the texts: `--from Basque`")


def _shot(record: dict[str, Any], shots: str | None) -> tuple[str, str]:
    """Return a text and its instruction: those of the first turns of a conversation; raises UsageError."""
    turns = {message["role"]: message["content"].strip() for message in reversed(record["messages"])}
    if missing := {"assistant", "user"}.difference(turns):
        raise UsageError(f"`--shots {shots}`: `{record['id']}` has no turn of the role `{min(missing)}`")
    return turns["assistant"], turns["user"]
