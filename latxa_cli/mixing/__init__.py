"""From a corpus and instruction data to one training mix.

The way of a record: `inputs` and `options` (what the user wants of each input, and of the whole), `lines` (lines become
`rows`), `admission` (scores and languages), `duplicates`, `draw` (who is in the mix, by hashes of keys), then `lines`
again. `mix` joins them by a `plan`, in `memory` or by `files` (with the `tasks` of their stages). Beside it:
`diversify` and `kmeans`, `tokens`, `shares`, `checks`, `insertions`.
"""
