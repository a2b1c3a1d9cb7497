"""A run of `latxa judge`: what is read, who judges it, what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

from latxa_cli.judging.matching import Contender, FirstFile, Meeting, alone, asked, begun, difference, meetings
from latxa_cli.judging.rubric import FOLDER, Rubric, load_rubric
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.tables import own_files

if TYPE_CHECKING:
    from datetime import date

    from latxa_cli.generation.engine import EngineOptions
    from latxa_cli.judging.against import Examination
    from latxa_cli.judging.curves import Ratings
    from latxa_cli.judging.newcomers import Worth
    from latxa_cli.judging.panel import Judge
    from latxa_cli.stream.records import Outcome, Record
    from latxa_cli.stream.run import Run
    from latxa_cli.stream.writer import Writer


@dataclass(frozen=True, slots=True)
class Lent:
    """What judging takes from the arena: what a battle of a newcomer tells, given all battles; how models are rated."""

    worth_by: Callable[[list[Record]], Worth]
    ratings: Ratings


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says; `partial`: the run does not see the whole of the first file."""

    rubric: str
    judges: tuple[str, ...]
    references: str | None
    against: str | None
    findings: Writer | None
    arena: tuple[str, ...]
    battles: int
    margin: float | None
    answer_in: str | None
    language: str | None
    thinking: Literal["on", "off"] | None
    max_tokens: int | None
    seed: int
    date: date | None
    engine: EngineOptions
    partial: bool
    dry_run: bool


def judge(run: Run, files: list[str], settings: Settings, lent: Lent | None = None) -> None:
    """Judge the responses in `files`, and write what comes of it.

    `lent`: needed for `--arena` and `--against`.
    Raises UsageError where the files, flags and judges do not fit the rubric, and LatxaError as what it calls.
    """
    rubric = load_rubric(settings.rubric)
    pairs = rubric.compares == "pair"
    _check(rubric, files, settings)
    run.depends_on(*own_files("--rubric", [settings.rubric], FOLDER), *settings.judges)
    if rubric.is_asked:
        from latxa_cli.judging.panel import check_judges

        check_judges(settings.judges, settings.engine)
    beside = files[1:] if pairs else []
    others = [Contender.of(name, run.read_all(name, "response")) for name in beside]
    prompts = run.read_all(settings.references, "prompt") if settings.references else []
    references = {prompt["id"]: prompt.get("reference") for prompt in prompts}
    needs_reference = rubric.shows_reference
    if not pairs:
        to_judge = alone(run.read(files, "conversation"), references, needs_reference=needs_reference)
    elif settings.arena and lent:
        to_judge = _in_arena(run, files, settings, lent, references, needs_reference=needs_reference)
    else:
        first = FirstFile()
        records = run.read(files[:1], "response", done=first.note, of_others=first.note)
        to_judge = meetings(records, others, references, needs_reference=needs_reference, first=first)
    margin = rubric.tie if settings.margin is None else settings.margin
    if rubric.is_asked:
        _ask(run, rubric, to_judge, margin, settings, lent)
    elif rubric.scorer == "code-switch":
        _search(run, rubric, to_judge, settings)
    else:
        _measure(run, rubric, to_judge, margin, settings, lent)
    if not settings.partial and not settings.dry_run:
        _say_unmet(run, files[0], others)


def _in_arena(
    run: Run, files: list[str], settings: Settings, lent: Lent,
    references: Mapping[str, object], *, needs_reference: bool,
) -> Iterator[Meeting]:  # fmt: skip
    """Return the meetings of a newcomer's responses with answers of an arena."""
    from latxa_cli.judging.newcomers import Arena

    first, battles = FirstFile(), [battle for name in settings.arena for battle in run.read_all(name, "battle")]
    arena = Arena.of(settings.arena[0], battles)
    if arena.unused:
        run.say(f"{arena.unused:,} battles of `--arena` hold no two answers to one prompt: not used")
    records = run.read(files, "response", done=first.note, of_others=first.note)
    return arena.meetings(
        records, lent.worth_by(battles), settings.battles, references, settings.seed,
        needs_reference=needs_reference, first=first,
    )  # fmt: skip


def _check(rubric: Rubric, files: list[str], settings: Settings) -> None:
    """Raise UsageError for files, judges and flags that do not fit the rubric."""
    if settings.arena and (rubric.compares == "one" or len(files) != 1):
        raise UsageError("`--arena` takes one file, the responses of a newcomer", hint="and a rubric of pairs")
    if rubric.compares == "pair" and len(files) < 2 and not settings.arena:
        raise UsageError("a comparison needs two files of responses or more", hint="`latxa judge A.jsonl B.jsonl`")
    if rubric.scorer in ("chrF", "code-switch") and settings.judges:
        raise UsageError(f"`--judge` has no effect with the rubric `{rubric.name}`", hint="it asks no model")
    if rubric.scorer == "reward" and len(settings.judges) != 1:
        raise UsageError(f"the rubric `{rubric.name}` needs one `--judge`", hint="a reward model")
    if rubric.is_asked and not settings.judges:
        raise UsageError(f"the rubric `{rubric.name}` needs a judge", hint="`--judge MODEL`")
    if rubric.scorer != "code-switch" and settings.language is not None:
        raise UsageError(f"`--language` has no effect with the rubric `{rubric.name}`", hint="`--rubric code-switch`")
    if settings.against and rubric.compares == "one":
        raise UsageError(f"`--against` has no effect with the rubric `{rubric.name}`", hint="votes are on pairs")
    if rubric.compares == "one" and settings.margin is not None:
        raise UsageError(f"`--margin` has no effect with the rubric `{rubric.name}`", hint="it compares no responses")
    given = {"--answer-in": settings.answer_in, "--thinking": settings.thinking, "--max-tokens": settings.max_tokens}
    if not rubric.is_asked and (flag := next((flag for flag, value in given.items() if value is not None), "")):
        raise UsageError(f"`{flag}` has no effect with the rubric `{rubric.name}`", hint="it asks no model")


def _ask(
    run: Run, rubric: Rubric, to_judge: Iterator[Meeting], margin: float, settings: Settings, lent: Lent | None
) -> None:
    """Ask judges, and write their votes or scores."""
    from latxa_cli.generation.delivery import deliver, note_engine
    from latxa_cli.generation.engine import Decoding
    from latxa_cli.generation.preflight import RECORDS
    from latxa_cli.judging.panel import THAT_OF_THE_PROMPT, Panel, open_judge
    from latxa_cli.judging.tally import Tally

    to_judge, any_at_all = begun(to_judge)
    if not any_at_all:
        run.write(list(meeting.rejects) for meeting in to_judge)
        return
    decoding = Decoding(**dict(rubric.decoding or {}))  # type: ignore[arg-type]
    if settings.max_tokens is not None:
        decoding = Decoding(settings.max_tokens, decoding.temperature, decoding.top_p)
    options = settings.engine.on(run.day(settings.date))
    judges = [open_judge(model, options, settings.thinking) for model in settings.judges]
    panel = Panel(judges, rubric, decoding, margin, settings.answer_in or THAT_OF_THE_PROMPT, settings.seed)
    note_engine(run, panel)
    run.note(judge=", ".join(judge.name for judge in judges), decoding=decoding.as_dict())
    tally = Tally(run.kept.get("votes"), run.say)
    run.keep(votes=tally.facts)
    outcomes = tally.counted(panel.ask(_some(to_judge, settings)))
    examination = _examination(run, rubric, settings)
    if examination:
        outcomes = examination.watched(outcomes)
    deliver(run, panel, outcomes, total=None, dry_run=settings.dry_run)
    run.say_all(tally.sentences())
    _tell(run, examination, settings, lent)
    if settings.dry_run:
        run.say(_cost(judges, RECORDS))


def _examination(run: Run, rubric: Rubric, settings: Settings) -> Examination | None:
    """Return what notes the votes of judges beside those of people, those of an interrupted run included."""
    if settings.against is None:
        return None
    from latxa_cli.judging.against import Examination, HumanVotes

    human = HumanVotes.of(run.read_all(settings.against, "battle"))
    if human.unused:
        run.say(f"{human.unused:,} votes of {settings.against} name no `prompt_id` or no `winner`: not used")
    examination = Examination(human, rubric, failed=run.kept.get("no verdict on voted pairs") or {})
    run.keep(**{"no verdict on voted pairs": examination.failed})
    for battle in run.already_written():
        examination.note(battle)
    return examination


def _tell(run: Run, examination: Examination | None, settings: Settings, lent: Lent | None) -> None:
    """Say what was found about the judges, and write it."""
    if examination is None or settings.dry_run:
        return
    if elsewhere := len(examination.elsewhere):
        run.say(f"the votes on {elsewhere:,} pairs are on another prompt of this id, or another language: not used")
    findings = list(examination.findings(settings.seed, lent.ratings if lent else None))
    run.note(against=findings)
    run.say_all(finding["text"] for finding in findings)
    for finding in findings if settings.findings else ():
        settings.findings.write(finding)  # type: ignore[union-attr]


def _cost(judges: list[Judge], most: int) -> str:
    """Return what a few prompts took of tokens, which tells what all of them will cost."""
    asked, written = (sum(getattr(one.engine, f"{what}_tokens") for one in judges) for what in ("prompt", "completion"))
    return f"these prompts ({most} at most) took {asked:,} tokens to read and {written:,} to write, of all judges"


def _measure(
    run: Run, rubric: Rubric, to_judge: Iterator[Meeting], margin: float, settings: Settings, lent: Lent | None
) -> None:
    """Score responses by what needs no asking, and write battles or scores."""
    from latxa_cli.judging.measures import ByReference, ByReward, measure

    if rubric.scorer == "chrF":
        by: ByReference | ByReward = ByReference()
    else:
        to_judge, any_at_all = begun(to_judge)
        if not any_at_all:
            run.write(list(meeting.rejects) for meeting in to_judge)
            return
        engine = settings.engine
        by = ByReward(settings.judges[0], device=engine.device, trust_remote_code=engine.trust_remote_code)
    run.note(judge=by.signature)
    outcomes, examination = measure(_some(to_judge, settings), by, rubric, margin), _examination(run, rubric, settings)
    _write(run, examination.watched(outcomes) if examination else outcomes, settings)
    _tell(run, examination, settings, lent)


def _search(run: Run, rubric: Rubric, to_judge: Iterator[Meeting], settings: Settings) -> None:
    """Find other languages in responses, and write scores."""
    from latxa_cli.judging.languages import Counts, find_languages, rates

    counts: Counts = run.kept.get("switches") or {}
    run.keep(switches=counts)
    _write(run, find_languages(_some(to_judge, settings), rubric, settings.language, counts), settings)
    rates(counts, run.say)


def _some(to_judge: Iterator[Meeting], settings: Settings) -> Iterator[Meeting]:
    """Return what is judged: a few in a dry run, else all."""
    from latxa_cli.generation.preflight import RECORDS

    return islice(to_judge, RECORDS) if settings.dry_run else to_judge


def _write(run: Run, outcomes: Iterator[Outcome], settings: Settings) -> None:
    """Write outcomes, or show them in a dry run."""
    from latxa_cli.generation.preflight import preview

    if settings.dry_run:
        preview(run.say, outcomes)
    else:
        run.write(outcomes)


def _say_unmet(run: Run, first: str, others: list[Contender]) -> None:
    """Say how many responses of each file have no partner in the first one."""
    for other in others:
        if unmet := len(other.responses) - len(other.met):
            run.note(**{f"not judged of {other.name}": unmet})
            run.say(f"{unmet:,} of {other.name} not judged: {first} lacks their prompts")
        if other.differs:
            name, found = other.differs
            run.say(f"{first} and {other.name} ask different things under one id, `{name}` first: {found}")
        if other.missed and other.responses and not other.met:
            theirs = asked(next(iter(other.responses.values())))
            run.say(f"{first} and {other.name} have no prompt in common: {difference(other.missed, theirs)}")
