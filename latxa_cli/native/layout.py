"""Layouts of the records that kernels fill in or read; this module does not import numba."""

from __future__ import annotations

import numpy as np

# Bytes behind the end of an input that kernels may read, and behind the end of an output that they may overwrite.
# Behind lines that do not end in a line break they must be zeros.
PADDING = 32

# --- a record of a mix ------------------------------------------------------------------------------------------

# Flags of a row.
MADE = 1  # its line was written anew, and lies in memory with others of this kind
SPACED = 2  # its line has blanks between tokens
EMPTY_SOURCE = 4  # its `source` is the empty string
EMPTY_METADATA = 8  # its `metadata` has no fields
OTHER_SPLIT = 16  # its `metadata.split` is not the one that was asked for
UNNAMED = 32  # it had no id, so its key was made from the hash of its content
UNREAD = 64  # the kernel left the line to the reader of records
AGAIN = 128  # its id (`HASH-COUNT`) or its epoch says that it is a copy; only its `check` differs from the first one's

ROW = np.dtype(
    [
        ("identity", "<u8"),  # a hash of its source and id; copies and repeated content have the same one
        ("check", "<u8"),  # another hash, which differs between copies too
        ("offset", "<u8"), ("length", "<u4"),  # its line, without the line break
        ("source_at", "<u4"),  # the place of its own source in the line; 0: it has none, or the line is `MADE`
        ("metadata_at", "<u4"),  # the place in the line where its metadata end; 0: it has none
        # (in a row that is `MADE`: the length of the original line, which follows the new one; 0: it is not kept)
        ("bytes", "<u4"), ("words", "<u4"),  # of its text: in UTF-8, and as `wc -w` counts
        ("input", "<u2"), ("flags", "<u2"),
    ]
)  # fmt: skip

# --- a line of a corpus ------------------------------------------------------------------------------------------

# A line. Places count from the start of the block. A line that is left to the reader has only the first three fields;
# its `id_size` is 0, which no document has.
LINE = np.dtype(
    [("row", "<u4"), ("offset", "<i8"), ("length", "<u4"), ("words", "<u4"), ("bytes", "<u4"), ("text", "<i8"),
     ("text_size", "<u4"), ("url", "<i8"), ("url_size", "<u4"), ("licence", "<i8"), ("licence_size", "<u4"),
     ("id_size", "<u4")]
)  # fmt: skip
