"""Defects that keep a text from its clean form (see `text.normalise`), all found in one pass."""

from __future__ import annotations

import numpy as np

from latxa_cli.native.kernel import kernel

# The kinds of code points. UTF-8 that was decoded as Latin-1 or Windows-1252 shows as code points that look like the
# lead of a sequence of 2, 3 or 4 bytes, and its continuations. The bits are chosen so that shifts compare neighbours.
UNUSUAL, BLANK, LINE_END, COMPOSABLE = 1, 2, 4, 8
LEAD_2, LEAD_3, LEAD_4, CONTINUATION = 16, 32, 64, 128
# The defects of a text.
MOJIBAKE, STRANGE, UNCOMPOSED, LOOSE_ENDS, RUNS, GAPS = 1, 2, 4, 8, 16, 32


@kernel
def defects(codepoints: np.ndarray, kinds: np.ndarray) -> int:
    """Return the defects that a text may have, as a sum of flags.

    kinds: u8, the kind of every code point, by its number.
    """
    third = second = first = np.uint8(0)
    kinds_seen = line_ends = runs = gaps = mojibake = np.uint8(0)
    for codepoint in codepoints:
        kind = kinds[codepoint]
        kinds_seen |= kind
        line_ends |= np.uint8(first << 1) & kind  # BLANK << 1 is LINE_END
        runs |= first & kind
        gaps |= second & first & kind
        # LEAD_2 << 3, LEAD_3 << 2 and LEAD_4 << 1 are CONTINUATION; those between a lead and this one must be too.
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
