"""`@kernel`: compiles a function to machine code, which is kept until one of its sources changes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
import xxhash
from numba.core import caching, config

Function = TypeVar("Function", bound=Callable[..., Any])

_FOLDER = Path(__file__).parent
# An import of another module of this room, on one line; a test compares the matches with Python's own parser.
_IMPORT = re.compile(rb"from latxa_cli\.native(?:\.(\w+))? import (\w+)")


def kernel(function: Function, *, nogil: bool = True) -> Function:
    """Compile a function at its first call with arguments of some types.

    - nogil: release the GIL, so that threads may run the function at the same time.
    - The machine code is kept in `NUMBA_CACHE_DIR` if that is set, else beside the module, else in the user's cache.
      Where none of these is writable, every process compiles for itself.
    """
    before = config.CACHE_LOCATOR_CLASSES
    config.CACHE_LOCATOR_CLASSES = ",".join(f"{__name__}.{place.__name__}" for place in (Given, Beside, OfUser))
    try:
        return numba.njit(function, cache=True, nogil=nogil)  # type: ignore[no-any-return]
    except RuntimeError:  # no cache folder is writable
        return numba.njit(function, nogil=nogil)  # type: ignore[no-any-return]
    finally:
        config.CACHE_LOCATOR_CLASSES = before


class _Stamped:
    """A cache location whose stamp covers all sources of a function; numba's own covers the function's file alone.

    A hash of the sources is also part of the cached file's name. numba unpickles argument types before it compares
    stamps, which fails when an earlier version had another name for a type.
    """

    _py_file: str

    def get_source_stamp(self) -> str:
        return stamp(Path(self._py_file))

    def get_disambiguator(self) -> str:
        return f"{super().get_disambiguator()}-{stamp(Path(self._py_file))[:16]}"  # type: ignore[misc]


@cache
def stamp(path: Path) -> str:
    """Return a hash of the sources of a module and of all modules of this room that it imports, directly or not."""
    digest = xxhash.xxh3_128()
    for source in sorted(sources(path)):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def sources(path: Path) -> set[Path]:
    """Return the file of a module, and the files of this room that it imports, directly or not."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += imported(path)
    return found


@cache
def imported(path: Path) -> list[Path]:
    """Return the files of this room that a module imports directly."""
    names = {(module or name).decode() for module, name in _IMPORT.findall(path.read_bytes())}
    return [_FOLDER / f"{name}.py" for name in sorted(names)]


class Given(_Stamped, caching.UserProvidedCacheLocator):
    """`NUMBA_CACHE_DIR`."""


class Beside(_Stamped, caching.InTreeCacheLocator):
    """`__pycache__` beside the module."""


class OfUser(_Stamped, caching.UserWideCacheLocator):
    """The user's cache folder."""
