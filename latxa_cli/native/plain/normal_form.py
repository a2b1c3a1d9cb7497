"""Defects of a text, by regular expressions over the kinds of its code points."""

from __future__ import annotations

import re

import numpy as np

from latxa_cli.native import normal_form as flags

# The expressions are matched against a text in which each character's number is the kinds of one code point.
_PATTERNS: dict[int, list[tuple[int, ...]]] = {
    flags.MOJIBAKE: [
        (flags.LEAD_2, flags.CONTINUATION),
        (flags.LEAD_3, flags.CONTINUATION, flags.CONTINUATION),
        (flags.LEAD_4, flags.CONTINUATION, flags.CONTINUATION, flags.CONTINUATION),
    ],
    flags.STRANGE: [(flags.UNUSUAL,)],
    flags.UNCOMPOSED: [(flags.COMPOSABLE,)],
    flags.LOOSE_ENDS: [(flags.BLANK, flags.LINE_END)],
    flags.RUNS: [(flags.BLANK, flags.BLANK)],
    flags.GAPS: [(flags.LINE_END, flags.LINE_END, flags.LINE_END)],
}


def _any_of(flag: int) -> str:
    return "[" + "".join(re.escape(chr(kinds)) for kinds in range(256) if kinds & flag) + "]"


def defects(codepoints: np.ndarray, kinds: np.ndarray) -> int:
    text = kinds[codepoints].tobytes().decode("latin-1")
    found = 0
    for flag, sequences in _PATTERNS.items():
        if any(re.search("".join(map(_any_of, sequence)), text) for sequence in sequences):
            found |= flag
    return found
