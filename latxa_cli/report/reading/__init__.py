"""What `report` reads and writes beside our own records: the formats of other tools.

Every reader yields our result records, so that tables and figures know nothing of where results come from.

- `files`: folders, and an input of our records that also takes documents of other tools.
- `harness`: results files of lm-evaluation-harness, of any version.
- `circumstances`: what such a file tells of its run: the model's name and path, delimiter, BOS, date.
- `every_eval`: Every Eval Ever, read and written.
- `eval_results`: a file for a model's page on the hub, written.
- `exports`: results gathered to be written.
- `shipped`: what comes with `report`: the paper's benchmarks, and the published results of its models.
- `values`: fields of documents in which any may be missing or of another type.
"""
