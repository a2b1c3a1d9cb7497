"""`@kernel`: a function in machine code, which is kept for the next run and made anew when its sources change."""

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
# A module of this room that another one imports; a test holds this against what Python itself reads.
_IMPORT = re.compile(rb"from latxa_cli\.native(?:\.(\w+))? import (\w+)")


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
    """Numba looks whether the file of a function has changed, but not those of the functions that it calls.

    The name of what is kept says the sources too: numba unpickles the types of arguments before it compares stamps, and
    fails where one of them has another name by now.
    """

    _py_file: str

    def get_source_stamp(self) -> str:
        return stamp(Path(self._py_file))

    def get_disambiguator(self) -> str:
        return f"{super().get_disambiguator()}-{stamp(Path(self._py_file))[:16]}"  # type: ignore[misc]


@cache
def stamp(path: Path) -> str:
    """Return a hash of a module's source and of all modules of this room that it stands on."""
    hashed = xxhash.xxh3_128()
    for source in sorted(sources(path)):
        hashed.update(source.read_bytes())
    return hashed.hexdigest()


def sources(path: Path) -> set[Path]:
    """Return the file of a module, and those of this room that it imports, directly or not."""
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
    """Return the files of the modules of this room that a module imports itself."""
    names = {(module or name).decode() for module, name in _IMPORT.findall(path.read_bytes())}
    return [_FOLDER / f"{name}.py" for name in sorted(names)]


class Given(_Stamped, caching.UserProvidedCacheLocator):
    """`NUMBA_CACHE_DIR`."""


class Beside(_Stamped, caching.InTreeCacheLocator):
    """`__pycache__` beside the module."""


class OfUser(_Stamped, caching.UserWideCacheLocator):
    """The user's cache folder."""
