"""Models made without training.

`latxa init`:

- `scratch`: a tokenizer, and a model of random weights.

`latxa extend`:

- `vocabulary`: the whole way, from documents to a model with more tokens.
- `pieces`: the pieces of a tokenizer, and the rules by which they join.
- `byte_pairs`: the most frequent pairs, joined one after another.
- `embeddings`: rows for the new tokens.

`latxa merge`:

- `merge`: the arithmetic on weights.
- `settings`: where the models compute otherwise.
- `alignment`: the rows of three vocabularies, matched by token.
- `merged_files`: the files beside the weights.
"""
