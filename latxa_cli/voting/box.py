"""The box of ballots: each vote is stored once, and is on the disk before its voter hears so.

Votes that come while others are being written wait and are written together, so that one wait for the disk serves many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import Record

Append = Callable[[list[Record]], None]


class Box:
    """What was cast. append: stores records on the disk, all or none; raises LatxaError. cast: ids of earlier votes."""

    def __init__(self, append: Append, cast: set[str]) -> None:
        self._append, self.cast = append, cast
        self._coming: dict[str, asyncio.Future[None]] = {}  # by id, votes that are not on the disk yet
        self._waiting: list[Record] = []
        self._writes = asyncio.Lock()

    async def put(self, battle: Record) -> bool:
        """Store a vote, and return whether it is a new one: of several with one id, the first counts.

        Raises LatxaError where the disk does not take it; then it may be put again.
        """
        name = battle["id"]
        if name in self.cast:
            return False
        if name in self._coming:
            await asyncio.shield(self._coming[name])
            return False
        self._coming[name] = stored = asyncio.get_running_loop().create_future()
        self._waiting.append(battle)
        async with self._writes:
            if not stored.done():
                await self._write()
        await stored
        return True

    async def _write(self) -> None:
        battles, self._waiting = self._waiting, []
        problem: BaseException | None = None
        try:
            await asyncio.to_thread(self._append, battles)
        except BaseException as error:
            problem = error
            if not isinstance(error, LatxaError):
                raise  # a bug, or the end of the server
        finally:
            self._tell(battles, problem)

    def _tell(self, battles: list[Record], problem: BaseException | None) -> None:
        """Let those who wait for these votes go on."""
        for battle in battles:
            stored = self._coming.pop(battle["id"])
            if problem is None:
                self.cast.add(battle["id"])
                stored.set_result(None)
            else:
                stored.set_exception(problem)
