"""Locks that keep two runs from writing the same file or folder."""

from __future__ import annotations

import errno
import fcntl

NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)  # from file systems without locks, as Lustre is often mounted


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed, and return whether that succeeded: no other process has locked it.

    On a file system without locks nothing is locked, and the answer is yes. Raises other OSErrors.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True
