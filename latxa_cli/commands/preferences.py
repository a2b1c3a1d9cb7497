"""`latxa preferences`."""

from typing import Annotated

from latxa_cli.options import (
    Criterion,
    Exclude,
    Files,
    OneCriterion,
    Run,
    Since,
    Until,
    VoteColumns,
    VoteLabels,
    VoteResponses,
    excludes,
    flag,
    verb,
)


@verb(conditions=[excludes("corrections", "criterion", hint="a correction is of the better answer on the whole")])
def preferences(
    run: Run,
    files: Files = None,
    *,
    column: VoteColumns = None,
    label: VoteLabels = None,
    responses: VoteResponses = None,
    hash_users: Annotated[bool, flag("Name users by pseudonyms.", "--hash-users")] = False,
    criterion: OneCriterion = Criterion.winner,
    corrections: Annotated[
        bool, flag("Pair answers that voters corrected with what they corrected.", "--corrections")
    ] = False,
    exclude: Exclude = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Make preference pairs from battles with conversations.

    in:  battles {model_a, model_b, winner, conversation_a, conversation_b}, by people or by `judge`; conversations may
         stand in --responses; CSV and TSV too
    out: pairs {id, prompt_id, prompt, chosen, rejected, metadata}, for DPO or a reward model

    The prompt is the common beginning of both conversations. `chosen` and `rejected` begin with the first answer that
    differs. System turns that differ between the two, which voters do not see, are left out. Every vote gives a pair. A
    battle without one (a tie, no conversation, the same response, an empty answer to be chosen …) is rejected,
    counted by reason. With --corrections, `chosen` is an answer as a voter of `vote` corrected it, and `rejected` as it
    was.

    examples:
      latxa preferences battles.jsonl > pairs.jsonl
      latxa preferences people.jsonl --corrections -o corrected.jsonl
      latxa judge ours.jsonl theirs.jsonl | latxa preferences --exclude model=theirs -o pairs.jsonl
    """
    from latxa_cli.arena.battles import check_once
    from latxa_cli.arena.filters import battle_filters, complaints
    from latxa_cli.arena.forms import form_of
    from latxa_cli.arena.preferences import preferences as pairs_of
    from latxa_cli.arena.pseudonyms import with_pseudonyms

    check_once(files)
    form = form_of(run, column, label, responses)
    filters, written = battle_filters(exclude, since, until), run.already_written()
    battles = run.read(files, "battle")
    battles = with_pseudonyms(battles) if hash_users else battles
    run.write(pairs_of(battles, str(criterion), filters, written, corrections=corrections))
    run.say_all([*complaints(filters), *form.remarks()])
