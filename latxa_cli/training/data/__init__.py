"""The data of a run: records to tokens, tokens to packed rows on the disk, rows to batches."""
