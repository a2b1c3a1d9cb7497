"""The key of runs that add to one file: random bytes in `FILE.key`, which only its owner may read.

What is signed with it in one run is known in the next one. It is never shown, and stands in no manifest.
"""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from latxa_cli.stream.errors import LatxaError

BYTES = 32
MODE = 0o600


def key_of(output: Path) -> Path:
    """Return the path of the key of the runs that write `output`."""
    return output.with_name(output.name + ".key")


def kept_key(path: Path, *, make: bool) -> bytes:
    """Return the key in a file; raises LatxaError where there is none, or, with `make`, where it cannot be made."""
    try:
        if make and not path.exists():
            _write(path, secrets.token_bytes(BYTES))
        key = path.read_bytes()
    except FileNotFoundError:
        hint = "restore it: without it, people who come back are taken for others"
        raise LatxaError(f"{path}: the key of what was written before is gone", hint=hint) from None
    except OSError as error:
        raise LatxaError(f"{path}: cannot be used ({error.strerror or error})") from None
    if len(key) != BYTES:
        raise LatxaError(f"{path}: is no key of {BYTES} bytes", hint="restore it, or remove it and what it belongs to")
    return key


def _write(path: Path, key: bytes) -> None:
    """Write a key under another name first: no kill and no full disk leaves half of one."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    try:
        if os.write(descriptor, key) < len(key):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
