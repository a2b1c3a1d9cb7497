"""`latxa preferences`."""

from latxa_cli.options import Criterion, Exclude, Files, OneCriterion, Run, Since, Until, verb


@verb
def preferences(
    run: Run,
    files: Files = None,
    *,
    criterion: OneCriterion = Criterion.winner,
    exclude: Exclude = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Make preference pairs of battles that hold conversations.

    in:  battles {model_a, model_b, winner, conversation_a, conversation_b}, of people or of `judge`
    out: pairs {id, prompt_id, prompt, chosen, rejected, metadata}, for DPO or a reward model

    The prompt is what both conversations begin with; `chosen` and `rejected` follow from the answer in which they first
    differ. Every vote gives a pair of its own. Battles that give none (ties, no conversation, the same response …) are
    counted by reason, and written to `--rejects`.

    examples:
      latxa preferences battles.jsonl > pairs.jsonl
      latxa judge ours.jsonl theirs.jsonl | latxa preferences --exclude model=theirs -o pairs.jsonl
    """
    from latxa_cli.arena.filters import battle_filters
    from latxa_cli.arena.preferences import preferences as pairs_of

    filters, written = battle_filters(exclude, since, until), run.already_written()
    run.write(pairs_of(run.read(files, "battle"), str(criterion), filters, written))
