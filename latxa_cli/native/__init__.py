"""Kernels: functions that numba compiles when they are first called, each with a plain twin that it must equal.

Who may call them: any room, and `text`; not commands, nor the stream. A kernel knows no room: what it needs of one it
is given. numba is imported by the modules of kernels and nowhere else, and they are imported by what calls them; a
verb that wants layouts at start-up takes them from `layout`, which needs numpy alone.

    vectors, hashing                 bytes at an address, many at once; hashes of 64 bits
    json_lines                       what stands in a line: a scanner that makes no objects
    documents                        the lines of a corpus, their words and near-duplicate keys
    mix_rows, mix_lines              the lines of a mix: read into rows, written in their new order
    words, minhash, ngrams           words of texts, and what is made of their hashes
    normal_form, naive_bayes         what is unclean in a text; its language
    tokens, repetition, figures      the figures of quality
    similarity, components           who is a near duplicate of whom; who hangs together
    byte_pairs                       pairs of neighbouring symbols
    kernel, layout                   the decorator; records that kernels fill in
    plain/                           the twins

What a caller must keep to, since nothing is checked and the penalty is a crash or nonsense:

- Types as the docstrings say (u64, i32 …). For others a kernel is compiled again, in seconds. A hash is `np.uint64`
  also where it is one number, for numba makes a float of an unsigned and a signed one.
- An array that is read-only is of another type for numba: `np.frombuffer` of a `bytearray`, not of `bytes`, where the
  kernel is called with both.
- Places lie within their arrays.
- Who passes an address (`array.ctypes.data`) keeps the array alive, and has `layout.PADDING` bytes behind what it ends:
  32 bytes that may be read, behind lines zeros unless the last line ends in a line break; behind an output 32 bytes
  that may be overwritten. `words.hash_words` and `hashing.xxh64` touch nothing behind the end.
- A kernel releases the GIL unless it says otherwise: threads may run it at once, each with outputs of its own.
"""
