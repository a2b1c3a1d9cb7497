import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.native.minhash import SHINGLE
from latxa_cli.text.shingles import bands, bands_of, jaccard, shingles
from latxa_cli.text.words import segment

SETS = st.sets(st.integers(0, (1 << 64) - 1), max_size=60)


def array(values: set[int]) -> np.ndarray:
    return np.array(sorted(values), dtype=np.uint64)


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
