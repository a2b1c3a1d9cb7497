"""What `report` reads and writes beside our own records: the files of other tools.

Every reader yields our result records, so that tables and figures know nothing of where results come from.

- `files`: folders, and an input of records that also takes files of other tools.
- `harness`: results of lm-evaluation-harness, of any version.
- `circumstances`: what such a file tells of its run: the model's name and path, delimiter, BOS, date.
- `shipped`: what is known of the paper's benchmarks.
"""
