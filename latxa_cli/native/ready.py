"""Importing this module prepares numba for kernels, so that a process does it once for all that are forked from it.

Before the first kernel of a process, numba needs a quarter of a second to find its own functions.
"""

from __future__ import annotations

from numba.core.registry import cpu_target

cpu_target.target_context.refresh()
