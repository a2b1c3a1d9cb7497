"""What keeps a text from its clean form (see `text.normalise`), found in one pass."""

from __future__ import annotations

import numpy as np

from latxa_cli.native.kernel import kernel

# What a code point can be: also the lead of a sequence of 2, 3 or 4 bytes in UTF-8, or a continuation of one, as it
# shows when it is read as Latin-1 or Windows-1252.
UNUSUAL, BLANK, LINE_END, COMPOSABLE = 1, 2, 4, 8
LEAD_2, LEAD_3, LEAD_4, CONTINUATION = 16, 32, 64, 128
# What can be found in a text.
MOJIBAKE, STRANGE, UNCOMPOSED, LOOSE_ENDS, RUNS, GAPS = 1, 2, 4, 8, 16, 32


@kernel
def defects(codepoints: np.ndarray, kinds: np.ndarray) -> int:
    """Return what there may be to do for a text, as a sum of flags. Each kind is held against the three before it."""
    third = second = first = np.uint8(0)
    kinds_seen = line_ends = runs = gaps = mojibake = np.uint8(0)
    for codepoint in codepoints:
        kind = kinds[codepoint]
        kinds_seen |= kind
        line_ends |= np.uint8(first << 1) & kind  # a blank moved by one bit is a line end
        runs |= first & kind
        gaps |= second & first & kind
        # A lead moved by as many bits is a continuation.
        leads = np.uint8(first << 3) | np.uint8(second << 2) & first | np.uint8(third << 1) & second & first
        mojibake |= leads & kind
        third, second, first = second, first, kind
    found = 0
    found |= MOJIBAKE if mojibake & CONTINUATION else 0
    found |= STRANGE if kinds_seen & UNUSUAL else 0
    found |= UNCOMPOSED if kinds_seen & COMPOSABLE else 0
    found |= LOOSE_ENDS if line_ends & LINE_END else 0
    found |= RUNS if runs & BLANK else 0
    found |= GAPS if gaps & LINE_END else 0
    return found
