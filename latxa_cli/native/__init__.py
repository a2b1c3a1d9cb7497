"""Kernels: functions that numba compiles when they are first called, each with a plain twin that it must equal.

Who may call them: any room, and `text`; `stream` and commands do not. A kernel knows no room, and nothing here imports
one. numba is imported by the modules of kernels and nowhere else, so that a verb which wants its layouts or constants
at start-up takes them from `layout`, which needs numpy alone.

What goes in and comes out:

- Types are as a kernel's docstring says (u64, i32 …): for others it is compiled anew, in seconds, or wraps around
  elsewhere. Numbers that are hashes or bits are `np.uint64`, since numba makes floats of a signed and an unsigned one.
- Arrays are read where they lie, without a look at their bounds: a place out of range is a crash, not an error.
- A kernel releases the GIL unless it says otherwise, so that threads may run it at once, each with its own output.

Addresses: `json_lines`, `mix_rows`, `mix_lines`, `documents`, `spelled_words` and `hashing.xxh64` read bytes at an
address (`array.ctypes.data`), and trust the caller to keep the array alive.
"""
