"""Log-likelihoods as lm-evaluation-harness computes them, from fewer tokens.

To read in this order: `encoding` (texts to tokens, with one BOS), `rows` (the requests of an item as one tree of
tokens), `batches` (rows with the same beginning, by length, within memory), `forward` (one pass through the network),
`scorer` (the harness's model that does all of it).
"""
