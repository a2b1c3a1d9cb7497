"""`latxa judge`: battles between responses, or scores of each, by a rubric."""

from typing import Annotated

from latxa_cli.options import (
    DryRun,
    EngineOptions,
    Files,
    OutputFile,
    Run,
    Seed,
    Shard,
    TemplateDate,
    Thinking,
    flag,
    needs,
    verb,
)  # fmt: skip


@verb(generates=True, conditions=[needs("battles", "arena"), needs("findings", "against")])
def judge(
    run: Run,
    files: Files = None,
    *,
    rubric: Annotated[str, flag("A rubric above, or a `.toml` file.", metavar="NAME|FILE")] = "reference",
    judge: Annotated[
        list[str] | None, flag("The model that judges; repeat it for a panel.", "--judge", "-j", metavar="MODEL")
    ] = None,
    references: Annotated[
        str | None, flag("Prompts {id, reference}; they win over the responses' own.", metavar="FILE")
    ] = None,
    against: Annotated[
        str | None, flag("Votes of people on the same pairs, which say how good the judge is.", metavar="FILE")
    ] = None,
    findings: Annotated[OutputFile, flag("Write what --against finds here, as records.", metavar="FILE")] = None,
    arena: Annotated[
        list[str] | None,
        flag("Judge one FILE, of a newcomer, against the answers in these battles; repeat it.", metavar="FILE"),
    ] = None,
    battles: Annotated[int, flag("Battles of each response with `--arena`.", metavar="N", min=1)] = 1,
    answer_in: Annotated[
        str | None, flag("The language of good answers, as judges are told. [default: the prompt's]", metavar="NAME")
    ] = None,
    language: Annotated[
        str | None,
        flag(
            "The language of responses (`eu`), if not the record's, for `code-switch`.",
            "--language",
            "-l",
            metavar="CODE",
        ),
    ] = None,
    margin: Annotated[
        float | None, flag("The largest difference of scores that is a tie. [default: the rubric's]", min=0.0)
    ] = None,
    thinking: Thinking = None,
    max_tokens: Annotated[
        int | None, flag("The most tokens of an answer. [default: the rubric's]", min=1, max=1 << 31)
    ] = None,
    date: TemplateDate = None,
    seed: Seed = 0,
    shard: Shard = None,
    engine: EngineOptions,
    dry_run: DryRun = False,
) -> None:
    """Compare the responses of models, or score each, by a rubric.

    in:  files of responses {id, messages, model, reference}; for a comparison two or more, one file a model
    out: battles {id, prompt_id, model_a, model_b, winner, preference, judge, conversation_a, conversation_b},
         or scores {id, rubric, model, judge, scores}

    rubrics of pairs, which give battles:
      reference      the answer nearer to the prompt's reference wins (chrF, 0 to 100)
      pairwise       content, language and overall, by a judge
      fluency        language alone, by a judge
      reward-pairs   the higher reward wins, by a reward model
    rubrics of single responses, which give scores:
      llm-eval       accuracy, fluency, informativeness, logical coherence, harmlessness, beside the reference
      curate         three levels of a pair for training, which `mix --minimum` reads
      reward         the output of a reward model
      code-switch    whether words are in another language than the one expected; no judge is needed

    Responses to one prompt have the same id, or the same user turns. The first file decides which prompts are judged.
    A judge sees each pair in both orders; where they disagree it is a tie. If its answer lacks numbers, it is asked for
    them once more, as JSON in a schema that the engine enforces where it can. What is no verdict even then is rejected,
    by its kind: unreadable, empty, refused, out of range, failed, too long, cut off.

    The rubric `code-switch` searches all words but those of code, formulas, addresses, names and quotations. Words in
    another script are in another language. Other words are so if several together are more probable in one of ten large
    languages, by their n-grams. Words of the prompt count only for the expected language. The guide has figures.

    With --against the run ends with the judge's accuracy, kappa and biases, the `preference_scale` that fits the votes,
    win rates corrected for its error, and how near its ratings are to those by people, beside the ratings of 25, 50,
    100 … of their votes, with 90 % intervals. The manifest and --findings hold them too, for `report`.

    With --arena, each response of a newcomer meets the answer of one model, or of --battles, to the same prompt, out of
    battles with conversations, such as those of a published arena. Both together give its rating. Models are drawn so
    that the newcomer meets all of them: equally often at first, and those near in rating more often where --arena names
    battles of the newcomer too, such as those of a first run. Pairs that met are not judged again.

    memory: all files but the first, the arena, the references, and the models of all judges

    examples:
      latxa judge ours.jsonl theirs.jsonl > battles.jsonl
      latxa judge a.jsonl b.jsonl c.jsonl --references prompts.jsonl --margin 1 | latxa arena-score --prior 1
      latxa judge ours.jsonl theirs.jsonl --rubric pairwise --judge models/judge --answer-in Basque -o battles.jsonl
      latxa judge new.jsonl --rubric pairwise --judge models/judge --arena votes.jsonl | latxa arena-score votes.jsonl -
      latxa judge reverse.jsonl --rubric curate --judge models/judge -o scores.jsonl
      latxa judge ours.jsonl --rubric code-switch --language eu > switches.jsonl
    """
    from latxa_cli.judging.judge import Lent, Settings
    from latxa_cli.judging.judge import judge as judge_files

    lent = None
    if arena or against:
        from latxa_cli.arena.pairing import ratings, worth_by

        lent = Lent(worth_by, ratings)
    told = None if dry_run else run.file(findings)
    settings = Settings(
        rubric, tuple(judge or ()), references, against, told, tuple(arena or ()), battles, margin, answer_in, language,
        thinking, max_tokens, seed, date, engine, partial=shard is not None or run.destination.resume, dry_run=dry_run,
    )  # fmt: skip
    judge_files(run, files or [], settings, lent)
