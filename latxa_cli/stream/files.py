"""Intermediate files, written under another name and renamed when complete, so that a kill leaves no half one.

They are not forced to the disk. After a kill every renamed file is whole; after a power cut or a crash of the operating
system, files of the last half minute may be cut short.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, BinaryIO

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.locks import try_lock
from latxa_cli.stream.writer import make_directory

if TYPE_CHECKING:
    import numpy as np

WORK_LOCK = "latxa.lock"  # the file that marks a folder of intermediate files as ours


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that gets its name `path` when the `with` block is complete; its folder is made where it is missing.

    Raises LatxaError when it cannot be written.
    """
    # Two tasks write the same file at once where one of them was wrongly thought dead.
    part = path.with_name(f"{path.name}.{os.urandom(4).hex()}.part")
    try:
        path.parent.mkdir(exist_ok=True)  # no folders above it: where these are missing, the shared disk is not mounted
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
        # numpy writes to a real file by `tofile`, whose errors do not say why the file cannot be written.
        npy.write_array(SimpleNamespace(write=file.write), array, allow_pickle=False)


def load_array(path: Path, *, mapped: bool = False) -> np.ndarray:
    """Return the array of a `.npy` file.

    mapped: map the file into memory instead of reading it. Raises LatxaError for a missing or damaged file.
    """
    import numpy as np

    hint = "start again without `--resume`"
    try:
        return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except OSError as error:
        raise LatxaError(f"{path}: cannot be read ({error.strerror or error})", hint=hint) from None
    except (ValueError, EOFError):
        raise LatxaError(f"{path}: is not whole", hint=hint) from None


def lock(path: Path) -> int:
    """Lock the file `path` and return its descriptor, which holds the lock until it is closed or the process ends.

    The folder is made where it is missing. A file system without locks gives none. Raises LatxaError where another run
    has the lock, or when the file cannot be made.
    """
    make_directory(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        is_ours = try_lock(descriptor)
    except FileNotFoundError:  # the run that had the lock has just removed the folder
        return lock(path)
    except OSError as error:
        raise cannot_write(path, error) from None
    if not is_ours:
        os.close(descriptor)
        hint = "wait for it, or name another folder"
        raise LatxaError(f"{path.parent}: another run is using it", hint=hint)
    if os.fstat(descriptor).st_nlink == 0:  # that run removed the file between our `open` and our lock
        os.close(descriptor)
        return lock(path)
    return descriptor


def remove_work(folder: Path) -> None:
    """Remove a folder of intermediate files, as far as the file system lets it.

    The lock goes last: after a kill meanwhile, it tells `--resume` that the rest may be removed. What a network file
    system keeps, since it is still open, must not fail a run that is complete.
    """
    with suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != WORK_LOCK:
                path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
