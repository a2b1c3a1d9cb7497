"""`@kernel`: a function in machine code, which is kept for the next run and made anew when the sources change."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
import xxhash
from numba.core import caching, config

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function, *, nogil: bool = True) -> Function:
    """Compile a function when it is first called with arguments of some types; `nogil`: threads may run it at once.

    The machine code is kept in `NUMBA_CACHE_DIR` if that is set, else beside the module, else in the user's cache;
    where none of these can be written to, every process compiles for itself.
    """
    before = config.CACHE_LOCATOR_CLASSES
    config.CACHE_LOCATOR_CLASSES = ",".join(f"{__name__}.{place.__name__}" for place in (Given, Beside, OfUser))
    try:
        return numba.njit(function, cache=True, nogil=nogil)  # type: ignore[no-any-return]
    except RuntimeError:  # there is no place
        return numba.njit(function, nogil=nogil)  # type: ignore[no-any-return]
    finally:
        config.CACHE_LOCATOR_CLASSES = before


class _Stamped:
    """Numba looks whether the file of a function has changed, but not those of the functions that it calls."""

    _py_file: str

    def get_source_stamp(self) -> tuple[str, str]:
        return _digest(Path(__file__).parent), _digest(Path(self._py_file).parent)


@cache
def _digest(folder: Path) -> str:
    """Return a hash of the sources in a folder. Kernels call those of their own room and of this one."""
    hashed = xxhash.xxh3_128()
    for path in sorted(folder.glob("*.py")):
        hashed.update(path.read_bytes())
    return hashed.hexdigest()


class Given(_Stamped, caching.UserProvidedCacheLocator):
    """`NUMBA_CACHE_DIR`."""


class Beside(_Stamped, caching.InTreeCacheLocator):
    """`__pycache__` beside the module."""


class OfUser(_Stamped, caching.UserWideCacheLocator):
    """The user's cache folder."""
