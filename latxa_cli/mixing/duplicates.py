"""Finds the records that come twice: by their keys, and where two keys are equal, by their contents too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from latxa_cli.mixing.rows import repeat, spread
from latxa_cli.native.layout import UNNAMED

ROW_BYTES = 64  # of memory per row while keys are compared


class RowTable:
    """The rows of all parts.

    - inputs[p]: the number of the input that part p belongs to.
    - load(p): the rows of part p; tokens(p): the number of tokens of each.
    - contents(p, rows): the hashes (u64) of the contents of some rows of part p.
    - The ordinal of row r in part p is p << 32 | r.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        load: Callable[[int], np.ndarray],
        tokens: Callable[[int], np.ndarray | None] = lambda _part: None,
        contents: Callable[[int, np.ndarray], np.ndarray] = lambda _part, rows: np.zeros(len(rows), np.uint64),
    ) -> None:
        self.inputs = inputs
        self.load = load
        self.tokens = tokens
        self.contents = contents

    def of(self, number: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (part, its rows) of the input `number`, or of all."""
        for part, its_input in enumerate(self.inputs):
            if number is None or its_input == number:
                yield part, self.load(part)


def none() -> np.ndarray:
    """Return no ordinals (u64)."""
    return np.empty(0, np.uint64)


@dataclass(frozen=True)
class Duplicates:
    """The records that come twice, as ordinals (u64, ascending).

    - duplicates: records whose key came before, with the same content.
    - repeats, counts: records without id whose content came before, and the number of each among those of its content.
    - copies: all records that have the content of an earlier one, and are not duplicates.
    - namesakes, contents: records with a key that another content has too, and the hashes of their contents, by which
      they are told apart.
    """

    duplicates: np.ndarray = field(default_factory=none)
    repeats: np.ndarray = field(default_factory=none)
    counts: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    copies: np.ndarray = field(default_factory=none)
    namesakes: np.ndarray = field(default_factory=none)
    contents: np.ndarray = field(default_factory=none)


def ends_of(part: int) -> np.ndarray:
    """Return the first ordinal of a part, and that of the next one."""
    return np.array([part << 32, (part + 1) << 32], np.uint64)


def places_of(ordinals: np.ndarray) -> np.ndarray:
    """Return the rows of ordinals in their parts (i64)."""
    return (ordinals & np.uint64(2**32 - 1)).astype(np.int64)


def marked(ordinals: np.ndarray, part: int, count: int) -> np.ndarray:
    """Return the mask of those among the `count` rows of a part that are in sorted `ordinals`."""
    marked = np.zeros(count, bool)
    first, last = np.searchsorted(ordinals, ends_of(part))
    marked[places_of(ordinals[first:last])] = True
    return marked


def find_duplicates(rows: RowTable, memory: int) -> Duplicates:
    """Return the records that come twice, of which the first one is kept.

    Keys are compared in rounds, each of which fits into `memory` (bytes).
    """
    total = sum(len(found) for _, found in rows.of())
    rounds = min(1 << 16, total * ROW_BYTES // max(memory, 1) + 1)
    found = [_compared(rows, number, rounds) for number in range(rounds)]
    duplicates, repeats, counts, copies, namesakes, contents = (
        np.concatenate(arrays) for arrays in zip(*found, strict=True)
    )
    order, by_place = np.argsort(repeats, kind="stable"), np.argsort(namesakes)
    return Duplicates(
        np.sort(duplicates), repeats[order], counts[order], np.sort(copies), namesakes[by_place], contents[by_place]
    )


def _compared(rows: RowTable, number: int, rounds: int) -> tuple[np.ndarray, ...]:
    """Compare the keys of round `number`, whose highest bits are in its range.

    Returns the arrays of `Duplicates`.
    """
    low, high = (-(-(place << 16) // rounds) for place in (number, number + 1))
    pieces: list[tuple[np.ndarray, ...]] = []
    for part, found in rows.of():
        top = found["identity"] >> np.uint64(48)
        inside = np.flatnonzero((top >= low) & (top < high))
        chosen = found[inside]
        ordinals = inside.astype(np.uint64) | np.uint64(part << 32)
        pieces.append((chosen["identity"], chosen["check"], ordinals, chosen["flags"] & UNNAMED > 0))
    if not pieces:
        return none(), none(), np.empty(0, np.int64), none(), none(), none()
    identity, check, ordinals, unnamed = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
    ordered = np.sort(identity)
    shared = np.flatnonzero(np.isin(identity, ordered[1:][ordered[1:] == ordered[:-1]]))  # nearly always few
    identity, check, ordinals, unnamed = (array[shared] for array in (identity, check, ordinals, unnamed))
    again, counts = _repeats(identity[unnamed], check[unnamed])
    again = np.flatnonzero(unnamed)[again]
    check[again] = repeat(check[again], counts)
    namesakes, contents = _namesakes(rows, identity, check, ordinals)
    for keys in (identity, check):
        keys[namesakes] = told_apart(keys[namesakes], contents)
    duplicates, _ = _repeats(identity, check)
    copies, _ = _repeats(identity, np.zeros_like(check))
    copies = np.setdiff1d(copies, duplicates)
    return ordinals[duplicates], ordinals[again], counts, ordinals[copies], ordinals[namesakes], contents


def _namesakes(
    rows: RowTable, identity: np.ndarray, check: np.ndarray, ordinals: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of records with a key that another content has too, and the hashes of their contents.

    Contents are looked at only where a key comes twice: ids that are counted anew in each file come so.
    """
    repeated, _ = _repeats(identity, check)
    doubtful = np.flatnonzero(np.isin(identity, identity[repeated]))
    contents = np.empty(len(doubtful), np.uint64)
    parts = (ordinals[doubtful] >> np.uint64(32)).astype(np.int64)
    for part in np.unique(parts).tolist():
        mine = parts == part
        contents[mine] = rows.contents(part, places_of(ordinals[doubtful[mine]]))
    keys = np.rec.fromarrays([identity[doubtful], check[doubtful]])
    _, first, key_numbers = np.unique(keys, return_index=True, return_inverse=True)
    differs = contents != contents[first[key_numbers]]
    shared = np.isin(identity[doubtful], identity[doubtful][differs])
    return doubtful[shared], contents[shared]


def told_apart(keys: np.ndarray, contents: np.ndarray) -> np.ndarray:
    """Return keys (u64) that are different for different contents, whose hashes are `contents`."""
    return spread(keys ^ contents)


def _repeats(identity: np.ndarray, check: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of keys that came before, sorted by key, and the number of each occurrence, from 2."""
    if not len(identity):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    places = np.lexsort((check, identity))  # stable: equal keys stay in order
    same = (identity[places][1:] == identity[places][:-1]) & (check[places][1:] == check[places][:-1])
    begins = np.flatnonzero(np.concatenate([[True], ~same]))
    times = np.arange(len(places)) - np.repeat(begins, np.diff([*begins, len(places)])) + 1
    return places[times > 1], times[times > 1]
