"""`[NAME=]SOURCE` on the command line: which files a source is, before any of them is opened.

SOURCE is a file, a folder (with all below it), a quoted glob, `-` (stdin), or `hf:DATASET[/CONFIG][:SPLIT]`.
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.inputs import STDIN, check_exists

PACKED = ("", ".gz", ".zst")
ENDINGS = (*(kind + packed for kind in (".jsonl", ".ndjson", ".json", ".txt") for packed in PACKED), ".parquet")
# In a folder a `.json` file is more often a description of data than data: such files are read where they are named.
NAMED_ONLY = tuple(".json" + packed for packed in PACKED)
OURS = (".part", ".manifest.json", ".work")  # what stands beside an output of `latxa`
KINDS = "`.jsonl`, `.ndjson`, `.json` and `.txt`, also with `.gz` or `.zst`, and `.parquet` are read"


@dataclass(frozen=True)
class Source:
    """One source and its files, in the order in which they are read.

    `files`: their paths as the user would write them; or `-`, or `hf:…`. `named`: the user gave the name. `root`: the
    folder that names of text documents are relative to. `ignored`: files found in folders that are not of kinds read.
    """

    name: str
    argument: str
    files: tuple[str, ...]
    named: bool
    root: str = ""
    ignored: int = 0


class _Found(NamedTuple):
    """What a SOURCE stands for, and the name that it has by itself."""

    files: list[str]
    name: str
    root: str = ""
    ignored: int = 0


def parse_sources(arguments: list[str]) -> list[Source]:
    """Return the sources that `arguments` name, in their order.

    Raises UsageError for two sources of one name, a file or stdin in two sources, files of unknown kinds, a terminal
    as stdin; LatxaError for what is not there, and for a folder or glob without files to read.
    """
    sources: dict[str, Source] = {}
    taken: dict[str, Source] = {}
    for argument in arguments:
        source = _source(argument)
        if source.name in sources:
            hint = f"give them names of their own: `NAME={source.argument}`"
            raise UsageError(f"two sources have the name `{source.name}`", hint=hint)
        sources[source.name] = source
        for file in source.files:
            other = taken.setdefault(_identity(file), source)
            if other is not source:
                what = "stdin" if file == STDIN else f"`{file}`"
                raise UsageError(f"{what} is in two sources, `{other.argument}` and `{source.argument}`")
    return list(sources.values())


def ending_of(file: str) -> str:
    """Return the ending by which a file is read; the empty string where it is not known."""
    return next((ending for ending in ENDINGS if file.endswith(ending)), "")


def is_regular(file: str) -> bool:
    """Whether a source's file is one that every process can open and read again: no stdin, pipe or dataset."""
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
            raise UsageError(f"`{where}` is of no kind that is read", hint=f"{KINDS}; `-` (stdin) takes JSON lines")
        return _Found([where], path.name.removesuffix(ending_of(where)), str(path.parent))
    if not found.files:
        what = f"none of the {found.ignored:,} files there can be read" if found.ignored else "there is no such file"
        raise LatxaError(f"{where}: {what}", hint=KINDS)
    for file in found.files:
        if not _is_text(file):
            raise UsageError(f"{where}: the name `{file!a}` in it is not UTF-8", hint="rename the file")
    once = {os.path.realpath(file): file for file in sorted(found.files, reverse=True)}  # links may lead to it too
    return found._replace(files=sorted(once.values()))


def _globbed(pattern: str) -> _Found:
    parts = pattern.split("/")
    fixed = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    root = "/".join(parts[:fixed]) or ("/" if fixed else "")
    # `crawls/wiki-*.jsonl` is known as `wiki`, `crawls/*.jsonl` as `crawls`.
    start = re.split(r"[*?[]", parts[-1])[0].strip("-_.") if fixed == len(parts) - 1 else ""
    files, ignored = [], 0
    for match in glob.glob(pattern, recursive=True):  # noqa: PTH207
        if any(part.endswith(OURS) for part in match.split("/")[fixed:]):
            continue
        if Path(match).is_dir():
            if "**" in parts:  # which goes into folders by itself
                continue
            inside = _in_folder(match)
            files += inside.files
            ignored += inside.ignored
        elif ending_of(match):
            files.append(match)
        else:
            ignored += 1
    return _Found(files, start or Path(root).resolve().name, root, ignored)


def _in_folder(folder: str) -> _Found:
    """Find the files in a folder and all below it, but for hidden ones and what `latxa` puts beside its outputs."""
    files, ignored = [], 0
    seen: set[str] = set()  # folders: a link may lead to one above it

    def fail(error: OSError) -> None:
        raise LatxaError(f"{error.filename}: cannot be read ({error.strerror})")

    for above, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        real = os.path.realpath(above)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if _is_seen(name))
        for name in filter(_is_seen, names):
            if ending_of(name) and not name.endswith(NAMED_ONLY):
                files.append(os.path.join(above, name))  # noqa: PTH118
            else:
                ignored += 1
    return _Found(files, Path(folder).resolve().name, folder, ignored)


def _is_text(name: str) -> bool:
    """Whether the name of a file or folder is UTF-8."""
    return not any("\udc80" <= character <= "\udcff" for character in name)


def _is_seen(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(OURS)


def _identity(file: str) -> str:
    return file if file.startswith("hf:") or file == STDIN else os.path.realpath(file)
