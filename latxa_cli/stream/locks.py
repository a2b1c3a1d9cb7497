"""Locks that keep two runs from writing the same file or folder."""

from __future__ import annotations

import errno
import fcntl

NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)  # of a file system without them, as Lustre may be mounted


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; return whether no other process has it.

    Where the file system knows no locks, there is none, and nobody else is thought to be there. Raises OSError.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True
