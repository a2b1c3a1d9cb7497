"""Memory with a page behind it that nobody may touch: who reads or writes past the end is killed."""

from __future__ import annotations

import ctypes
import mmap
import sys

from latxa_cli.native.layout import PADDING

_LIBC = ctypes.CDLL(None, use_errno=True)
_NOTHING = 0  # PROT_NONE


class Guarded:
    """Room for up to `size` bytes; what is put there ends, with its padding, where the forbidden page begins."""

    def __init__(self, size: int) -> None:
        pages = -(-(size + PADDING) // mmap.PAGESIZE)
        self._memory = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self.end = self._start + pages * mmap.PAGESIZE  # of what may be touched
        forbidden = ctypes.c_void_p(self.end), ctypes.c_size_t(mmap.PAGESIZE)
        if _LIBC.mprotect(*forbidden, _NOTHING):
            raise OSError(ctypes.get_errno(), "mprotect")

    def put(self, data: bytes, padding: int = PADDING) -> int:
        """Lay bytes and zeros flush against the forbidden page; return the address of the first."""
        at = self.end - padding - len(data)
        assert at >= self._start
        ctypes.memmove(at, data + bytes(padding), len(data) + padding)
        return at

    def room(self, size: int) -> int:
        """Return where `size` bytes and the padding behind them may be written."""
        return self.put(bytes(size))

    def take(self, size: int) -> bytes:
        """Return what is in a room of this size."""
        return ctypes.string_at(self.end - PADDING - size, size)


if __name__ == "__main__":  # for the test that the page is forbidden
    memory = Guarded(100)
    ctypes.string_at(memory.put(b"x" * 100), 100 + PADDING + int(sys.argv[1]))
