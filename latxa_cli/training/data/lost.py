"""Records that are left out of a preparation, and the end of a run to which too few are left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from latxa_cli.chat.rendering import REFUSED
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import JsonObject, Reject
from latxa_cli.training.data.tokenised import LONG, NO_SOURCE, SPLIT, source_of

MEND = "mend them, or leave them out"
SEE = "`--rejects FILE` holds each with its reason"


def lost_of(rejects: Sequence[Reject], *, fold_system: bool) -> dict[str, JsonObject]:
    """Return for each source the number of its conversations that are left out, and what is to be said of the first."""
    lost: dict[str, JsonObject] = {}
    for reject in rejects:
        if "messages" not in reject.record:
            continue
        first = {"reason": reject.reason, "detail": reject.detail, "hint": _hint(reject, fold_system=fold_system)}
        lost.setdefault(source_of(reject.record), {"records": 0, **first})["records"] += 1
    return lost


def _hint(reject: Reject, *, fold_system: bool) -> str:
    has_system = any(message["role"] == "system" for message in reject.record["messages"])
    if reject.reason == REFUSED and has_system and not fold_system:
        return "`--fold-system` makes system turns part of the user's"
    if reject.reason == LONG:
        return "a longer `--sequence-length`, or shorter conversations"
    return MEND


def check_sources(
    used: Iterable[Mapping[str, int]], lost: Iterable[Mapping[str, JsonObject]], *, set_aside: bool
) -> None:
    """Raise LatxaError for a source of whose conversations none is left: a run would learn from the others alone.

    Args:
        used: of each part, the number of conversations of each source.
        lost: of each part, what `lost_of` returns.
        set_aside: whether the run keeps rejects.
    """
    left = {name for part in used for name, count in part.items() if count}
    found: dict[str, JsonObject] = {}
    for part in lost:
        for name, some in part.items():
            before = found.get(name, {"records": 0})
            found[name] = {**some, **before, "records": before["records"] + some["records"]}
    for name, some in sorted(found.items()):
        if name not in left:
            whose = "without a `source`" if name == NO_SOURCE else f"of `{name}`"
            raise LatxaError(
                f"no conversation {whose} is left, of {some['records']:,}: {some['reason']} (the first: "
                f"{some['detail']})",
                hint=some["hint"] if set_aside or some["hint"] != MEND else f"{MEND}; {SEE}",
            )


def check_records(
    names: str, shares: Mapping[str, Counter[str]], rejected: Counter[str], other_split: int, *, set_aside: bool
) -> None:
    """Raise LatxaError where no record is left of the sources with these `names`."""
    if shares:
        return
    if other_split:
        raise LatxaError(
            f"all {other_split:,} records are of other splits than `{SPLIT}`",
            hint="records to train on have none, or `train`, in `metadata.split`",
        )
    if rejected:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in rejected.most_common())
        raise LatxaError(
            f"none of the {rejected.total():,} records can be used: {reasons}",
            hint="" if set_aside else SEE,
        )
    raise LatxaError(f"{names}: no records are there", hint="give files with documents or conversations")
