"""Sources on the command line, `[NAME=]SOURCE`, and the files of each, before any of them is opened.

SOURCE is a file, a folder (with all below it), a quoted glob, `-` (stdin), or `hf:DATASET[/CONFIG][:SPLIT]`.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from latxa_cli.stream.endings import COMPRESSED, READABLE, ending_of
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.inputs import STDIN, check_exists

# A `.json` file in a folder more often describes data than holds them, so it is read only where the user names it.
NAMED_ONLY = tuple(".json" + packed for packed in ("", *COMPRESSED))
SHOWN_NAMES = 5
OURS = (".part", ".manifest.json", ".work")  # files that `latxa` puts beside its outputs


@dataclass(frozen=True)
class Source:
    """One source.

    - argument: the source as the user wrote it; named: the user gave the name.
    - files: paths as the user would write them, or `-`, or `hf:…`, in the order of reading.
    - root: the folder that names of text documents are relative to.
    - ignored: files in its folders that are of no kind that is read.
    """

    name: str
    argument: str
    files: tuple[str, ...]
    named: bool
    root: str = ""
    ignored: tuple[str, ...] = ()


class _Found(NamedTuple):
    """The files that a SOURCE stands for, and its name where the user gives none."""

    files: list[str]
    name: str
    root: str = ""
    ignored: tuple[str, ...] = ()


def parse_sources(arguments: list[str]) -> list[Source]:
    """Return the sources that `arguments` name, in their order.

    Raises UsageError for two sources of one name, a file or stdin in two sources, files of unknown kinds and a terminal
    as stdin; LatxaError for a missing file, and for a folder or glob without files to read.
    """
    sources: dict[str, Source] = {}
    owners: dict[str, Source] = {}
    for argument in arguments:
        source = _source(argument)
        if source.name in sources:
            hint = f"give them names of their own: `NAME={source.argument}`"
            raise UsageError(f"two sources have the name `{source.name}`", hint=hint)
        sources[source.name] = source
        for file in source.files:
            other = owners.setdefault(_identity(file), source)
            if other is not source:
                label = "stdin" if file == STDIN else f"`{file}`"
                raise UsageError(f"{label} is in two sources, `{other.argument}` and `{source.argument}`")
    return list(sources.values())


def folder(where: str, reads: Callable[[str], bool]) -> Source:
    """Return the source of a folder: of the files in it, at any depth, those of a name that `reads` is true for.

    Raises LatxaError for a folder that cannot be read, UsageError for a name that is not UTF-8.
    """
    found = _in_folder(where, reads)
    return Source(found.name, where, tuple(_once(where, found.files)), False, where, found.ignored)


def left_unread(source: Source) -> str:
    """Return a sentence about the files in a source's folders that are not read; the empty string when all are."""
    names = [f"`{os.path.relpath(file, source.root or '.')}`" for file in source.ignored]
    if not names:
        return ""
    more = f" and {len(names) - SHOWN_NAMES:,} more" if len(names) > SHOWN_NAMES else ""
    by_name = any(file.lower().endswith(NAMED_ONLY) for file in source.ignored)
    hint = "; a `.json` file is read where it is named" if by_name else ""
    files = "1 file" if len(names) == 1 else f"{len(names):,} files"
    return f"{source.argument}: {files} left unread: {', '.join(names[:SHOWN_NAMES])}{more}{hint}"


def is_regular(file: str) -> bool:
    """Whether every process can open and read a source's file again: it is not stdin, a pipe or a dataset."""
    return file != STDIN and not file.startswith("hf:") and Path(file).is_file()


def _source(argument: str) -> Source:
    name, equals, where = argument.partition("=")
    # A `=` may be part of a path; a name holds no `/`.
    named = bool(equals) and "/" not in name and not name.startswith("hf:") and not Path(argument).exists()
    if (named and not (name and where)) or not argument:
        missing = "no source" if name or not argument else "no name"
        raise UsageError(f"`{argument}` has {missing}", hint="write `NAME=SOURCE`, or the source alone")
    found = _find(where if named else argument)
    own = name if named else found.name
    if not own or not _is_text(own):
        raise UsageError(f"`{argument}` has no name of its own", hint=f"give it one: `NAME={argument}`")
    return Source(own, argument, tuple(found.files), named, found.root, found.ignored)


def _find(where: str) -> _Found:
    if where == STDIN or where.startswith("hf:"):
        check_exists(where)
        dataset = where.removeprefix("hf:").partition(":")[0].split("/")[:2]
        return _Found([where], "stdin" if where == STDIN else dataset[-1])
    path = Path(where)
    if path.is_dir():
        found = _in_folder(where)
    elif glob.has_magic(where) and not path.exists():
        found = _globbed(where)
    else:
        check_exists(where)
        if path.is_file() and not ending_of(where):
            raise UsageError(f"`{where}` is of no kind that is read", hint=f"{READABLE}; `-` (stdin) takes JSON lines")
        return _Found([where], path.name.removesuffix(ending_of(where)), str(path.parent))
    if not found.files:
        none = f"none of the {len(found.ignored):,} files there can be read"
        empty = "there is no file in this folder" if path.is_dir() else "there is no such file"
        reason = none if found.ignored else empty
        raise LatxaError(f"{where}: {reason}", hint=READABLE)
    return found._replace(files=_once(where, found.files))


def _once(where: str, files: list[str]) -> list[str]:
    """Return the files found in `where`, sorted, each once; raises UsageError for a name that is not UTF-8."""
    for file in files:
        if not _is_text(file):
            raise UsageError(f"{where}: the name `{file!a}` in it is not UTF-8", hint="rename the file")
    return sorted({os.path.realpath(file): file for file in sorted(files, reverse=True)}.values())  # links name twice


def _globbed(pattern: str) -> _Found:
    parts = pattern.split("/")
    fixed = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    root = "/".join(parts[:fixed]) or ("/" if fixed else "")
    # `crawls/wiki-*.jsonl` is known as `wiki`, `crawls/*.jsonl` as `crawls`.
    start = re.split(r"[*?[]", parts[-1])[0].strip("-_.") if fixed == len(parts) - 1 else ""
    files: list[str] = []
    ignored: list[str] = []
    for match in glob.glob(pattern, recursive=True):  # noqa: PTH207
        if any(part.endswith(OURS) for part in match.split("/")[fixed:]):
            continue
        if Path(match).is_dir():
            if "**" in parts:  # which descends into folders by itself
                continue
            inside = _in_folder(match)
            files += inside.files
            ignored += inside.ignored
        elif ending_of(match):
            files.append(match)
        else:
            ignored.append(match)
    return _Found(files, start or Path(root).resolve().name, root, tuple(ignored))


def _holds_records(name: str) -> bool:
    return bool(ending_of(name)) and not name.lower().endswith(NAMED_ONLY)


def _in_folder(folder: str, reads: Callable[[str], bool] = _holds_records) -> _Found:
    """Find the files at any depth of a folder, without hidden ones and those that `latxa` puts beside its outputs."""
    files: list[str] = []
    ignored: list[str] = []
    seen: set[str] = set()  # a link may lead to a folder above itself, round and round

    def fail(error: OSError) -> None:
        raise LatxaError(f"{error.filename}: cannot be read ({error.strerror})")

    for above, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        real = os.path.realpath(above)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if _is_data(name))
        for name in filter(_is_data, names):
            if reads(name):
                files.append(os.path.join(above, name))  # noqa: PTH118
            else:
                ignored.append(os.path.join(above, name))  # noqa: PTH118
    return _Found(files, Path(folder).resolve().name, folder, tuple(sorted(ignored)))


def _is_text(name: str) -> bool:
    """Whether the name of a file or folder is UTF-8; Python keeps other bytes of names as lone surrogates."""
    return not any("\udc80" <= character <= "\udcff" for character in name)


def _is_data(name: str) -> bool:
    """Whether a file or folder may hold data: it is not hidden, and not one that `latxa` puts beside its outputs."""
    return not name.startswith(".") and not name.endswith(OURS)


def _identity(file: str) -> str:
    return file if file.startswith("hf:") or file == STDIN else os.path.realpath(file)
