"""Models made without training.

- `scratch`: `latxa init`, a tokenizer and a model of random weights.
- `vocabulary`, `pieces`, `byte_pairs`, `embeddings`: `latxa extend`, pieces learnt, joined, and given rows.
- `merge`, `alignment`, `merged_files`: `latxa merge`, arithmetic, whose rows belong together, what stands beside.
"""
