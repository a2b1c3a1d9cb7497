"""The outputs of a run that adds records to files one by one, such as votes as people cast them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from threading import Lock

from latxa_cli.stream import reader
from latxa_cli.stream.endings import compression_of
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.inputs import Input
from latxa_cli.stream.keys import kept_key, key_of
from latxa_cli.stream.outputs import Destination, Outputs
from latxa_cli.stream.records import JsonObject, Record, Reject
from latxa_cli.stream.rejects import unfit_entry
from latxa_cli.stream.resume import MAIN, REJECTS, Checkpoint
from latxa_cli.stream.writer import Appender


class AppendedOutputs(Outputs):
    """The outputs of a run that adds records one by one, each of them on the disk before it counts.

    Files have their names from the beginning, so that they can be read meanwhile. What they hold is never replaced:
    `--resume` adds to it. Beside the main file lies the run's key (`FILE.key`), which the runs that add to it share.
    """

    may_be_empty = True  # nothing came yet, or all was removed again

    def __init__(self, verb: str, destination: Destination) -> None:
        super().__init__(verb, destination)
        self._counting = Lock()  # records are added by a thread of their own

    def check(self) -> None:
        super().check()
        for flag, path in self.files.items():
            if compression_of(path):
                raise UsageError(f"`{flag} {path}`: a file that grows is not compressed", hint="name a `.jsonl`")
            if path.exists() and path.stat().st_size and not self.destination.resume:
                raise UsageError(f"`{flag} {path}` exists already", hint="`--resume` adds to it; or name another")

    def _claims(self) -> Iterable[tuple[str, Path]]:
        yield from super()._claims()
        if self.main is not None:
            yield MAIN, key_of(self.main)

    def is_complete(self, settings: JsonObject, growing: Collection[str] = ()) -> bool:
        return False  # more may come

    def open(self, _settings: JsonObject, point: Checkpoint | None) -> None:
        for flag, path in self.files.items():
            self.writers[flag] = Appender(path)

    @property
    def remark(self) -> str:
        """What is to be said of the main file as it was found; empty where it was as expected."""
        return self._main_writer.remark

    @property
    def _main_writer(self) -> Appender:
        writer = self.writers[MAIN]
        assert isinstance(writer, Appender)
        return writer

    def earlier(self, kind: str) -> Iterator[Record]:
        """Begin to write, and yield the records that earlier runs wrote; raises RecordError for one of another kind."""
        self._main_writer.begin()
        if self.manifest is not None:
            self.manifest.unlink(missing_ok=True)  # from now on, the files are not as it says
        if self._main_writer.offset:
            source = Input(str(self.main))
            for record in reader.read(source, kind, reader.stop_at_malformed, reader.Identifier()):
                self._count(1)
                yield record

    def append(self, records: list[Record]) -> None:
        """Write records to the main file; raises LatxaError, and then none of them is in it."""
        self._main_writer.append(records)
        self._count(len(records))

    def remove(self, reason: str, holding: bytes, unwanted: Callable[[Record], bool]) -> list[Record]:
        """Remove records of the main file, see `Appender.remove`; count them under `reason`, and return them."""
        gone = self._main_writer.remove(holding, unwanted)
        with self._counting:
            self.counts.written -= len(gone)
            self.counts.rejected[reason] += len(gone)
        return gone

    def refuse(self, reject: Reject) -> None:
        """Write what came and is no record to the rejects, and count it; raises LatxaError, and then did neither."""
        with self._counting:
            writer = self.writers.get(REJECTS)
            if isinstance(writer, Appender):
                writer.append([unfit_entry(reject.record, reject.reason, reject.detail)], wait=False)
            self.counts.read += 1
            self.counts.rejected[reject.reason] += 1

    def _count(self, records: int) -> None:
        with self._counting:
            self.counts.read += records
            self.counts.written += records

    def key(self) -> bytes:
        """Return the key of the runs that write this file: 32 random bytes, made by the first of them."""
        assert self.main is not None
        return kept_key(key_of(self.main), make=self._main_writer.offset == 0)

    def drop_main(self) -> None:
        """Keep the file: earlier runs wrote to it."""

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()
