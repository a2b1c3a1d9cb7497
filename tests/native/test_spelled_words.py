"""Words hashed from the spelling of a text, against those of the text itself."""

from __future__ import annotations

import numpy as np
import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st
from spellings import TEXTS

from latxa_cli.native.spelled_words import hash_words
from latxa_cli.native.vectors import WIDTH
from latxa_cli.text.words import segment, table

ALPHABET = (
    "aZñßıⅧ1²٣ _-.,'’·\\\"/\n\t\b\f\r\x00\x1f\x7f"
    + "\u0301\u200d\u2028क्षिخو漢〇カไทย한\U0001e900\U0001f600\U00020000\U000e0100"
)


def hashes_of_spelled(text: str) -> list[int]:
    spelled = orjson.dumps(text)
    data = np.frombuffer(bytearray(spelled + bytes(2 * WIDTH)), np.uint8)
    found = np.empty(len(spelled), np.uint64)
    count = hash_words(int(data.ctypes.data) + 1, len(spelled) - 2, table(), found)
    return [int(value) for value in found[:count]]


@settings(deadline=None, max_examples=500)  # the first example compiles
@given(st.one_of(TEXTS, st.text(alphabet=ALPHABET, max_size=60)))
@example("l''home l'  'l l'é · a·b a·漢 漢'a 漢·字 'a\\' b'\n c'\"")
@example("")
def test_words_of_the_spelling_are_those_of_the_text(text: str) -> None:
    assert hashes_of_spelled(text) == segment(text).hashes.tolist()
