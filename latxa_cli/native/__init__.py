"""Kernels: functions that numba compiles at their first call. Each has a plain twin, and a test compares the two.

Any room and `text` may call them; commands and the stream do not. A kernel knows no room and takes everything that it
needs as arguments. Only modules of kernels import numba, and callers import them where they call them. A verb that
needs layouts at start-up takes them from `layout`, which imports numpy alone.

    vectors, hashing                 bytes at an address, many at once; hashes of 64 bits
    json_tokens, json_lines          a scanner of JSON lines that makes no objects
    documents                        the lines of a corpus, their words and near-duplicate keys
    mix_rows, mix_lines              the lines of a mix: read into rows, written in their new order
    words, minhash, ngrams           the words of texts; sketches and n-grams made from their hashes
    normal_form, naive_bayes         the defects of a text; its language
    switches                         which words of a text are in another language
    tokens, repetition, figures      the figures of quality
    similarity, components           near duplicates among documents; connected components
    byte_pairs                       pairs of neighbouring symbols
    kernel, layout                   the decorator; records that kernels fill in
    ready                            imported where workers are forked from, which then begin sooner
    plain/                           the twins

Nothing is checked, and a mistake is a crash or nonsense. Callers must see to this:

- Types are as in the docstrings (u64, i32 …). For other types a kernel is compiled again, which takes seconds. A single
  hash must be `np.uint64` too, since numba turns the sum of an unsigned and a signed number into a float.
- numba has another type for read-only arrays. A kernel that is called with both kinds is compiled twice, so make arrays
  from a `bytearray` (`np.frombuffer`), not from `bytes`.
- Places lie within their arrays.
- The array behind an address (`array.ctypes.data`) stays alive, and `layout.PADDING` bytes follow its last one. Kernels
  may read them, and in an output overwrite them. Behind lines they are zeros, unless the last line ends in a line
  break. `words.hash_words` and `hashing.xxh64` need no padding.
- Kernels release the GIL unless they say otherwise. Threads may run one at the same time, each with its own outputs.
"""
