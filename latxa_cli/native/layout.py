"""Layouts of the records that kernels fill in or read; numba is not needed for them."""

from __future__ import annotations

import numpy as np

# Bytes that kernels may read behind the end of what lies at an address, and write behind the end of an output. Behind
# lines without a line break at their end they must be zeros.
PADDING = 32

# --- a record of a mix ------------------------------------------------------------------------------------------

# Flags of a row.
MADE = 1  # its line was written anew, and lies with the others that were
SPACED = 2  # its line has blanks between tokens
EMPTY_SOURCE = 4  # its `source` is the empty string
EMPTY_METADATA = 8  # its `metadata` has no fields
OTHER_SPLIT = 16  # its `metadata.split` is not the one that is wanted
UNNAMED = 32  # it had no id: its key is that of the hash of its content
UNREAD = 64  # the kernel leaves the line to `Maker`
AGAIN = 128  # its key tells it from the first one of its content, or from the first copy of a record

ROW = np.dtype(
    [
        ("identity", "<u8"),  # the hash of its source and id, the same of all that repeat one content or are its copies
        ("check", "<u8"),  # another hash, which tells these apart too
        ("offset", "<u8"), ("length", "<u4"),  # its line, without the line break
        ("source_at", "<u4"),  # where in the line its own source begins; 0: it has none, or the line is made
        ("metadata_at", "<u4"),  # where in the line its metadata end; 0: it has none
        # (of a line that is made: how long the record as it came is, which lies behind it; 0: it is not kept)
        ("bytes", "<u4"), ("words", "<u4"),  # of its text: UTF-8, and as `wc -w` counts
        ("input", "<u2"), ("flags", "<u2"),
    ]
)  # fmt: skip

# --- a line of a corpus ------------------------------------------------------------------------------------------

# A line; places count from the start of the block. Of one that is left to the reader there is no more than the first
# three fields, and an `id` is never empty.
LINE = np.dtype(
    [("row", "<u4"), ("offset", "<i8"), ("length", "<u4"), ("words", "<u4"), ("bytes", "<u4"), ("text", "<i8"),
     ("text_size", "<u4"), ("url", "<i8"), ("url_size", "<u4"), ("licence", "<i8"), ("licence_size", "<u4"),
     ("id_size", "<u4")]
)  # fmt: skip
