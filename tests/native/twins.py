"""What a kernel and its twin are called with, and how what they give is compared."""

from __future__ import annotations

import ctypes
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numba
import numpy as np
from guarded import Guarded
from hypothesis import strategies as st

from latxa_cli import native

FOLDER = Path(native.__file__).parent
MODULES = sorted(path.stem for path in FOLDER.glob("[a-z]*.py") if path.stem not in ("kernel", "layout"))


@dataclass
class Bytes:
    """Bytes that a kernel is given by their address."""

    data: bytes
    memory: Guarded = field(default_factory=lambda: Guarded(1 << 16))

    def __post_init__(self) -> None:
        self.at = self.memory.put(self.data)


class Room(Bytes):
    """Room for bytes that a kernel writes; each call has its own."""

    def __init__(self, size: int) -> None:
        super().__init__(bytes(size))


@dataclass
class At:
    """An address in some bytes."""

    bytes: Bytes
    offset: int = 0


@dataclass(frozen=True)
class Fixed:
    """An array that is large and only read."""

    array: np.ndarray


@dataclass(frozen=True)
class Case:
    """Arguments (`At`, arrays, tuples of arrays, numbers) and what is compared: by default the result and all arrays.

    `seen`: given the result and the arguments after the call, what must be the same of both. `nearly`: given the
    result, a number that may differ in the sixth digit. `kernel`: what is called where the thing itself cannot be.
    """

    arguments: st.SearchStrategy[tuple[Any, ...]]
    seen: Callable[..., Any] = lambda result, *arguments: (result, arguments)
    nearly: Callable[[Any], float] = lambda _: 0.0
    kernel: Callable[..., Any] | None = None


def kernels(module: str) -> dict[str, Callable[..., Any]]:
    """Return the kernels and instructions that a module has for others."""
    code = import_module(f"latxa_cli.native.{module}")
    own = {name: thing for name, thing in vars(code).items() if not name.startswith("_")}
    return {
        name: thing
        for name, thing in own.items()
        if getattr(thing, "__module__", "") == code.__name__
        and (hasattr(thing, "py_func") or isinstance(thing, numba.core.extending._Intrinsic))
    }


def plain(module: str) -> types.ModuleType:
    return import_module(f"latxa_cli.native.plain.{module}")


def outcome(function: Callable[..., Any], case: Case, arguments: tuple[Any, ...]) -> Any:
    """Return what is seen of a call; arrays and rooms are copied, so that each function has its own."""
    given = [_copied(argument) for argument in arguments]
    result = function(*(_passed(argument) for argument in given))
    return simple(case.seen(result, *given)), case.nearly(result)


def _copied(argument: Any) -> Any:
    if isinstance(argument, np.ndarray):
        return argument.copy()
    if isinstance(argument, tuple):
        fields = map(_copied, argument)
        return type(argument)(*fields) if hasattr(argument, "_fields") else tuple(fields)
    if isinstance(argument, At) and isinstance(argument.bytes, Room):
        return At(Room(len(argument.bytes.data)), argument.offset)
    return argument


def _passed(argument: Any) -> Any:
    if isinstance(argument, At):
        return argument.bytes.at + argument.offset
    return argument.array if isinstance(argument, Fixed) else argument


def simple(value: Any) -> Any:
    """Return a value of plain Python that is equal to another if the values are."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [simple(item) for item in value]
    return None if isinstance(value, At | Fixed) else value


def written(place: At) -> bytes:
    """Return what is now in a room."""
    return ctypes.string_at(place.bytes.at, len(place.bytes.data))
