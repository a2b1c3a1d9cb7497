"""The box of ballots: each vote is stored once, and is on the disk before its voter hears so.

Votes that come while others are being written wait and are written together, so that one wait for the disk serves many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import Record, Reject

WITHDRAWN = "withdrawn"


class Votes(Protocol):
    """Where votes are kept; each of these raises LatxaError, and has then changed nothing."""

    @property
    def remark(self) -> str:
        """What is to be said of the place; empty for nothing."""

    def append(self, records: list[Record], /) -> None:
        """Store votes on the disk."""

    def remove(self, reason: str, holding: bytes, unwanted: Callable[[Record], bool], /) -> list[Record]:
        """Remove votes whose lines hold some bytes and that are unwanted, and return them."""

    def refuse(self, reject: Reject, /) -> None:
        """Count what is no vote."""


class Box:
    """What was cast. cast: ids of earlier votes."""

    def __init__(self, votes: Votes, cast: set[str]) -> None:
        self._votes, self.cast = votes, cast
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

    async def remove(self, user: str) -> list[Record]:
        """Remove all votes of a voter, and return them; raises LatxaError where the disk does not take it.

        Their ids stay those of votes that were cast: what a browser sends again is not stored again.
        """
        async with self._writes:
            return await asyncio.to_thread(
                self._votes.remove, WITHDRAWN, user.encode(), lambda battle: battle.get("user") == user
            )

    async def _write(self) -> None:
        battles, self._waiting = self._waiting, []
        problem: BaseException | None = None
        try:
            await asyncio.to_thread(self._votes.append, battles)
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
