import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latxa_cli.native.minhash import BANDS, ROWS, SHINGLE
from latxa_cli.text.near import bands, bands_of, jaccard, shingles
from latxa_cli.text.words import segment

BINS = BANDS * ROWS
ONES = (1 << 64) - 1
SETS = st.sets(st.integers(0, ONES), max_size=60)


def array(values: set[int]) -> np.ndarray:
    return np.array(sorted(values), dtype=np.uint64)


def mixed(value: int) -> int:
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        value = (value ^ value >> 33) * factor & ONES
    return value ^ value >> 33


def sketch(values: set[int]) -> list[int]:
    """Fast Similarity Sketching, written down once more: of each bin the least (round, hash) that falls into it."""
    least: dict[int, tuple[int, int]] = {}
    for turn in range(2 * BINS):
        for value in values:
            hashed = mixed((value + turn * 0x9E3779B97F4A7C15) & ONES) if turn else value
            bin_ = (hashed >> 32) * BINS >> 32 if turn < BINS else turn - BINS
            least[bin_] = min(least.get(bin_, (turn, hashed)), (turn, hashed))
    return [turn << 56 | hashed >> 8 for turn, hashed in map(least.get, range(BINS))]


@settings(deadline=None, max_examples=20)
@given(SETS.filter(bool))
def test_bands_are_made_of_the_sketch(values: set[int]) -> None:
    rows = sketch(values)
    expected = []
    for band in range(BANDS):
        key = band
        for row in rows[band * ROWS : (band + 1) * ROWS]:
            key = (key ^ row) * 0x9E3779B97F4A7C15 & ONES
        expected.append(mixed(key))
    assert bands(array(values)).tolist() == expected


@settings(deadline=None)
@given(SETS, SETS)
def test_jaccard_is_that_of_sets(a: set[int], b: set[int]) -> None:
    assert jaccard(array(a), array(b)) == (len(a & b) / len(a | b) if a | b else 1.0)


def test_the_order_and_repetition_of_shingles_do_not_matter() -> None:
    values = np.random.default_rng(0).integers(0, 2**64, 50, dtype=np.uint64)
    assert (bands(values) == bands(np.append(values[::-1], values))).all()
    assert bands(values).all() and not bands(values[:0]).any()


@pytest.mark.parametrize(
    "text", ["", "bat", "a b c d", "a b c d e", "a b c d e f a b c d e f a b c d e", "漢字かな交じり文"]
)
def test_shingles(text: str) -> None:
    hashes = segment(text).hashes.tolist()
    size = min(SHINGLE, len(hashes))
    grams = {tuple(hashes[i : i + size]) for i in range(len(hashes) - size + 1)} if hashes else set()
    found = shingles(segment(text))
    assert len(found) == len(grams)
    assert (np.diff(found.astype(object)) > 0).all()
    assert (bands_of(segment(text)) == bands(found)).all()


def test_shingles_see_words_and_their_order_alone() -> None:
    first = shingles(segment("Etxe zaharrean bizi da gure amona maitea."))
    assert (first == shingles(segment("ETXE zaharrean — bizi da:\ngure amona, maitea!"))).all()
    assert jaccard(first, shingles(segment("maitea amona gure da bizi zaharrean etxe"))) == 0.0
    moved = shingles(segment("Atzo esan zidaten: etxe zaharrean bizi da gure amona maitea."))
    assert jaccard(first, moved) == len(first) / len(moved), "wherever they stand"


@pytest.mark.parametrize("size", [9, 18, 45, 90, 180, 450, 1800])
def test_candidates_at_08(size: int) -> None:
    """Theory: 1 - (1 - 0.8^5)^25 = 0.99995 of the pairs have a key in common, 0.0087 of those at 0.2."""
    random = np.random.default_rng(size)

    def found(shared: int) -> float:
        hits = 0
        for _ in range(400):
            values = random.integers(0, 2**64, 2 * size - shared, dtype=np.uint64)
            a, b = bands(values[:size]), bands(np.append(values[:shared], values[size:]))
            hits += bool((a == b).any())
        return hits / 400

    assert found(size * 8 // 9) >= 0.995
    assert found(size // 3) <= 0.03
