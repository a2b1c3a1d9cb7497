"""What a run trains on: records to tokens, tokens to packed rows on the disk, rows to batches."""
