"""The inputs of `report`: files and folders, of our records and of other tools.

A folder stands for the results files in it, at any depth. A file that the user names is read whatever it is called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from latxa_cli.report.reading import every_eval, harness
from latxa_cli.report.reading.shipped import PUBLISHED
from latxa_cli.report.reading.values import parts
from latxa_cli.stream.endings import COMPRESSED, ending_of
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.inputs import BYTE_ORDER_MARK, LONGEST_LINE, EntryError, Input
from latxa_cli.stream.records import Record
from latxa_cli.stream.sources import folder, left_unread

# The names of results files: of the harness and of `eval`, and of evaluations in Every Eval Ever, which are UUIDs.
RESULTS = re.compile(
    r"(results.*\.jsonl?|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.json)(\.gz|\.zst)?",
    re.IGNORECASE,
)
DOCUMENTS = tuple(".json" + packed for packed in ("", *COMPRESSED))
MARKS = (b'"results"', b'"evaluation_results"')  # a line with none of these is no document of another tool

Entry = tuple[int, Any]  # the number of a line; the line, the records of a document, or an EntryError


def expand(arguments: Sequence[str], say: Callable[[str], None]) -> list[str]:
    """Return the files that `arguments` name, with those in folders, and say how many files there are left unread.

    Raises LatxaError for a folder that cannot be read or has no results in it.
    """
    files: list[str] = []
    for argument in arguments:
        if not Path(argument).is_dir():
            files.append(argument)
            continue
        source = folder(argument, lambda name: RESULTS.fullmatch(name) is not None)
        if not source.files:
            hint = "of a folder, the files called `results*.json` and `results*.jsonl` are read, at any depth"
            raise LatxaError(f"{argument}: there is no results file in this folder", hint=hint)
        if source.ignored:
            samples = any(Path(name).name.startswith("samples_") for name in source.ignored)
            say(left_unread(source) + ("; `latxa compare` reads `samples_*.jsonl`" if samples else ""))
        files += source.files
    return list(dict.fromkeys(files))


def baseline_files(names: Iterable[str]) -> list[str]:
    """Return the files and folders that `--baselines` names; `published` is the one that comes with `report`."""
    return [str(PUBLISHED) if name == "published" else name for name in names]


class ResultInput(Input):
    """An input of our records or of another tool's results, which are turned into our records."""

    _content: Iterable[bytes] | None = None  # where it was read already, to see what it is

    def blocks(self) -> Iterator[bytes]:
        """Yield the decompressed bytes as they arrive; raises LatxaError."""
        return super().blocks() if self._content is None else iter(self._content)

    def entries(self) -> Iterator[Entry]:
        """Yield (number of a line, entry) as `Input` does; a document of another tool is a list of the records in it.

        A file that ends inside a JSON value is one malformed entry, so that a folder with such a file can be read.
        """
        if ending_of(self.name) not in DOCUMENTS:
            yield from self._converted()
            return
        blocks = super().blocks()
        content = _beginning(blocks)
        self._content = chain((content,), blocks)
        if not content.strip() and RESULTS.fullmatch(Path(self.name).name):
            yield 1, EntryError("the file is empty", content)
            return
        is_whole = len(content) <= LONGEST_LINE
        document = _parsed(content) if is_whole else None
        if document is not None:
            yield 1, _records(document, self.label, content)
            return
        try:
            yield from self._converted()
        except LatxaError:
            if not is_whole:
                raise
            yield content.count(b"\n") + 1, EntryError("the file ends in the middle of a JSON value", content)

    def _converted(self) -> Iterator[Entry]:
        for number, entry in super().entries():
            if type(entry) is bytes and any(mark in entry for mark in MARKS):
                document = _parsed(entry)
                yield number, entry if document is None else _records(document, self.label, entry)
            else:
                yield number, entry


def _beginning(blocks: Iterator[bytes]) -> bytes:
    """Return the content of a file, or of a long one so much that it is over `LONGEST_LINE`."""
    read, size = [], 0
    for block in blocks:
        read.append(block)
        size += len(block)
        if size > LONGEST_LINE:
            break
    return b"".join(read)


Reader = Callable[[str], Iterator[Record]]  # yields the records of one document, given the name of its file


def _parsed(content: bytes) -> Reader | None:
    """Return what reads the document of another tool in `content`; None for anything else.

    Whatever is not known here goes to the reader of our records, which says what is wrong.
    """
    document = parts(content.removeprefix(BYTE_ORDER_MARK))
    if document is None:
        return None
    if harness.is_results(document):
        return partial(harness.records, document)
    if every_eval.is_evaluation(document):
        return partial(every_eval.records, document)
    return None


def _records(read: Reader, label: str, raw: bytes) -> list[Record] | EntryError:
    """Return the records of a document; one without any is malformed."""
    try:
        return list(read(label)) or EntryError("it holds no result", raw)
    except ValueError as error:
        return EntryError(str(error), raw)
