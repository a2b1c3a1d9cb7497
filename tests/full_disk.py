"""A disk that is full, as far as one process can tell."""

from __future__ import annotations

import resource
from contextlib import contextmanager


@contextmanager
def files_no_larger_than(size):
    """As on a disk that is full; Python ignores the signal that would end the process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
