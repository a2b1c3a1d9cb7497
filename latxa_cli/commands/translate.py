"""`latxa translate`: conversations into another language, by a base model and a few examples."""

from pathlib import Path
from typing import Annotated

from latxa_cli.options import DryRun, EngineOptions, Files, Model, Run, Seed, Shard, Take, flag, verb


@verb(generates=True)
def translate(
    run: Run,
    files: Files = None,
    *,
    model: Model,
    shots: Annotated[Path, flag("Examples: pairs with `source` and `target`.", metavar="FILE")],
    shot_count: Annotated[int, flag("How many of them, from the first, stand in each prompt.", min=0)] = 5,
    source_name: Annotated[
        str, flag("The source language's name in the prompt.", "--from", metavar="NAME")
    ] = "English",
    target_name: Annotated[str, flag("The target language's name in the prompt.", "--to", metavar="NAME")],
    language: Annotated[
        str | None, flag("Write this code into the records (`eu`, `cy`).", "--language", "-l", metavar="CODE")
    ] = None,
    max_tokens: Annotated[int, flag("Longest translation of a message, in tokens.", min=1)] = 1024,
    seed: Seed = 0,
    take: Take = None,
    shard: Shard = None,
    engine: EngineOptions,
    dry_run: DryRun = False,
) -> None:
    """Translate conversations with a few examples and a base model.

    in:  conversations
    out: the same conversations, every message translated: ids, turns, roles and other fields stay

    A conversation is rejected when the translation of a message is empty, unfinished, or a copy of
    its source.

    examples:
      latxa translate -m models/base_eu --shots shots.jsonl --to Euskara -l eu en.jsonl > eu.jsonl
      latxa sample -m models/instruct_en -n 1000 | latxa translate -m models/base_eu --shots shots.jsonl --to Euskara
    """
    from latxa_cli.generation.delivery import deliver
    from latxa_cli.generation.engine import open_engine
    from latxa_cli.generation.preflight import first, share
    from latxa_cli.model import short_name
    from latxa_cli.translation.prompt import few_shot
    from latxa_cli.translation.translate import Translation, translate_conversations

    conversations = run.read(files, "conversation", take=take)
    run.depends_on(model)
    pairs = run.read_all(str(shots), "pair")
    generator = open_engine(model, engine)
    run.note(engine=generator.facts())
    prompt = few_shot(pairs, source_name, target_name, shot_count)
    translation = Translation(prompt, max_tokens, short_name(model), language)
    outcomes = translate_conversations(first(conversations) if dry_run else conversations, generator, translation)
    deliver(run, generator, outcomes, total=share(take, shard), dry_run=dry_run)
