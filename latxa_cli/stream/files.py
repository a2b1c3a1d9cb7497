"""Intermediate files: written under another name and renamed when they are complete, so that a kill leaves no half one.

They are not forced to the disk: whatever is killed, what was renamed is whole; but after a power cut or a crash of the
operating system, files of the last half minute may be cut short.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import uuid4

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.locks import try_lock
from latxa_cli.stream.writer import make_directory

if TYPE_CHECKING:
    import numpy as np


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that comes to stand at `path`, in a folder that may be new, when the `with` block is complete.

    Two tasks may write the same file at once (where one was thought dead): each has a name of its own until then.
    Raises LatxaError when it cannot be written.
    """
    part = path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(exist_ok=True)  # but not those above: where they are missing, this is not the shared disk
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from None
    finally:
        part.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> LatxaError:
    """Return the error to raise where an intermediate file cannot be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "free some space, then `--resume`" if full else ""
    return LatxaError(f"{path}: cannot be written ({error.strerror or error})", hint=hint)


def save_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write a whole file; raises LatxaError."""
    with new_file(path) as file:
        file.write(data)


def save_array(path: Path, array: np.ndarray) -> None:
    """Write an array as `.npy`; raises LatxaError."""
    from numpy.lib import format as npy

    with new_file(path) as file:
        # Not handed the file itself, for which numpy does not say why writing failed.
        npy.write_array(SimpleNamespace(write=file.write), array, allow_pickle=False)


def load_array(path: Path, *, mapped: bool = False) -> Any:
    """Return the array of a `.npy` file; `mapped`: read from the file as it is used. Raises LatxaError."""
    import numpy as np

    hint = "start again without `--resume`"
    try:
        return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except OSError as error:
        raise LatxaError(f"{path}: cannot be read ({error.strerror or error})", hint=hint) from None
    except (ValueError, EOFError):
        raise LatxaError(f"{path}: is not whole", hint=hint) from None


def lock(path: Path) -> int:
    """Lock the file `path`, in a folder that may be new, until its descriptor is closed, which is returned, or the
    process ends.

    Where the file system knows no locks, there is none. Raises LatxaError where another run has it, or when it cannot
    be made.
    """
    make_directory(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        is_ours = try_lock(descriptor)
    except FileNotFoundError:  # the run that had it has just removed the folder
        return lock(path)
    except OSError as error:
        raise cannot_write(path, error) from None
    if not is_ours:
        os.close(descriptor)
        hint = "wait for it, or name another folder"
        raise LatxaError(f"{path.parent}: another run is using it", hint=hint)
    if os.fstat(descriptor).st_nlink == 0:  # the same, a moment later
        os.close(descriptor)
        return lock(path)
    return descriptor
