"""The plain twins of kernels: for each kernel, a function of the same name in the module of the same name.

A twin has its kernel's parameters and results, outputs in arrays included, and computes them in the obvious way without
a thought for speed. `tests/native/test_twins.py` compares the two. Where a kernel may differ, the twin's docstring says
how: in hashes that only tell tokens apart, or in the last bits of a probability.
"""
