"""`latxa translate`: records in another language, by a model and a few examples."""

from pathlib import Path
from typing import Annotated, Literal

from latxa_cli.options import DryRun, EngineOptions, Files, Model, Run, Seed, Shard, Take, flag, needs, verb


@verb(generates=True, conditions=[needs("nearest", "shots"), needs("shot_count", "shots", ("shot_count", 0))])
def translate(
    run: Run,
    files: Files = None,
    *,
    model: Model,
    source: Annotated[str, flag("The language of the texts: a code or a name.", "--from", metavar="LANGUAGE")],
    target: Annotated[str, flag("The language to translate into.", "--to", metavar="LANGUAGE")],
    from_name: Annotated[
        str | None, flag("What prompts call it. [default: what it calls itself]", metavar="NAME")
    ] = None,
    to_name: Annotated[str | None, flag("The same for the other one.", metavar="NAME")] = None,
    shots: Annotated[Path | None, flag("Examples: pairs with `source` and `target`.", metavar="FILE")] = None,
    shot_count: Annotated[
        int | None,
        flag("Examples in each prompt. [default: 5, or all of fewer]", "-k", "--shot-count", metavar="N", min=0),
    ] = None,
    nearest: Annotated[bool, flag("Show the examples most like a text: of its length and kind.", "--nearest")] = False,
    prompt: Annotated[
        str, flag("`base`, `chat`, `salamandrata`, `translategemma`, or a `.toml` file.", metavar="NAME|FILE")
    ] = "base",
    field: Annotated[
        list[str] | None,
        flag("What is translated: `messages`, `text`, or other fields; repeat it. [default: messages]", metavar="NAME"),
    ] = None,
    layout: Annotated[
        Literal["turn", "conversation"],
        flag("What a request translates: a turn, or a conversation as one JSON object.", "--layout"),
    ] = "turn",
    keep_system: Annotated[bool, flag("Leave system turns as they are.", "--keep-system")] = False,
    translate_comments: Annotated[bool, flag("Translate comments in code too.", "--translate-comments")] = False,
    checks: Annotated[Path | None, flag("Limits and phrases of the checks, as TOML.", metavar="FILE")] = None,
    calibrate: Annotated[
        Path | None, flag("Pairs that say how long translations are. [default: the shots]", metavar="FILE")
    ] = None,
    retries: Annotated[int, flag("Further tries of what fails a check, each with other shots.", min=0)] = 2,
    candidates: Annotated[int, flag("Drafts of each text; the one nearest to the others is taken.", min=1)] = 1,
    max_tokens: Annotated[int, flag("The most tokens of a translation; longer texts are cut.", min=1)] = 1024,
    seed: Seed = 0,
    take: Take = None,
    shard: Shard = None,
    engine: EngineOptions,
    dry_run: DryRun = False,
) -> None:
    """Translate conversations, documents or any fields.

    in:  conversations; with --field, documents or any records
    out: the same records translated; ids, turns, roles and other fields stay

    Code, formulas, addresses and placeholders come back byte for byte. What fails a check is tried again,
    and then rejected with the reason, the number of tries and what the model wrote.

    reasons:
      other lines, other numbers, too long, another language and more   see `latxa audit --help`
      does not survive translation    asks for letters, rhymes, grammar or a translation
      lost marker, other structure    code or the JSON object did not come back whole
      longer than the context, unfinished translation, special token in the text

    examples:
      latxa translate -m models/base_eu --from en --to eu --shots shots.jsonl en.jsonl > eu.jsonl
      latxa sample -m models/instruct_en -n 99 | latxa translate -m models/base_eu --from en --to eu --shots s.jsonl
      latxa translate -m base --from en --to eu --shots s.jsonl --field question --field choices items.jsonl > eu.jsonl
    """
    from latxa_cli.generation.delivery import deliver, note_engine
    from latxa_cli.generation.engine import open_engine
    from latxa_cli.generation.preflight import first, share
    from latxa_cli.model import short_name
    from latxa_cli.stream.tables import own_files
    from latxa_cli.translation.fields import kind_of_records
    from latxa_cli.translation.languages import pair_of
    from latxa_cli.translation.layouts import FOLDER, load_layout, prompt_of
    from latxa_cli.translation.plan import check_layout, checks_of, drafter_of
    from latxa_cli.translation.repeats import Repeats
    from latxa_cli.translation.segments import budget_of
    from latxa_cli.translation.shots import Wanted, shots_of, without_shots
    from latxa_cli.translation.translate import Translation
    from latxa_cli.translation.translate import translate as translated

    languages, form, fields = pair_of(source, target, from_name, to_name), load_layout(prompt), field or ["messages"]
    check_layout(form, layout, fields)
    run.depends_on(model, checks, *own_files("--prompt", [prompt], FOLDER))
    if shots:
        wanted = Wanted(str(shots), shot_count, nearest)
        examples = shots_of(run.read_all(wanted.path, "pair"), wanted, form, languages, seed=seed)
    else:
        examples = without_shots(form, shot_count)
    pairs = run.read_all(str(calibrate), "pair") if calibrate else None
    judge = checks_of(languages, checks, examples, pairs, comments=translate_comments)
    repeats = Repeats(judge, fields, keep_system=keep_system, made=() if dry_run else run.already_written())
    records = run.read(files, kind_of_records(fields), take=take, done=repeats.done)
    generator = open_engine(model, engine.on(run.day(None)))
    note_engine(run, generator)
    drafter = drafter_of(
        prompt_of(form, languages, generator.tokenizer), examples, judge, generator.tokenizer,
        max_tokens=max_tokens, retries=retries, candidates=candidates, seed=seed,
    )  # fmt: skip
    budget = budget_of(generator.tokenizer, max_tokens, generator.context, examples.pairs)
    plan = Translation(
        drafter, budget, short_name(model), tuple(fields), layout, keep_system=keep_system, comments=translate_comments
    )
    outcomes = translated(first(records) if dry_run else records, generator, plan, repeats)
    deliver(run, generator, outcomes, total=share(take, shard), dry_run=dry_run)
    run.note(translation=vars(drafter.work) | {"constrained": bool(drafter.work.structured and generator.constrains)})
