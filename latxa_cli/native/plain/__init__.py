"""The plain twins of kernels: the module of the same name has for each kernel a function of the same name.

A twin takes what its kernel takes and gives what it gives, outputs written to arrays included, in the obvious way and
without a thought for speed. `tests/native/test_twins.py` holds one against the other. Where a kernel may differ, the
twin's docstring says in what: hashes that only tell tokens apart, or the last bits of a probability.
"""
