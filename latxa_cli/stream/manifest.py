"""`FILE.manifest.json`: what made FILE and from what, written last, so that its presence means FILE is complete."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import orjson

from latxa_cli import __version__
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.inputs import fingerprint
from latxa_cli.stream.writer import write_file


def manifest_of(output: Path) -> Path:
    """Return where the manifest of an output file (or, inside it, of an output directory) lies."""
    return output / "manifest.json" if output.is_dir() else output.with_name(output.name + ".manifest.json")


def save(path: Path, *, verb: str, settings: dict[str, Any], started: float, **facts: Any) -> None:
    """Write the manifest atomically; `started` is when the run began (seconds since the epoch)."""
    manifest = {
        "verb": verb,
        "version": __version__,
        "argv": [_without_password(word) for word in sys.argv],
        "python": sys.version.split()[0],
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 3),
        "settings": settings,
        **facts,
    }
    write_file(path, orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE, default=str))


def load(path: Path) -> dict[str, Any] | None:
    """Return a manifest or another small JSON object that we wrote; None where there is none.

    Raises LatxaError when the file is not ours.
    """
    try:
        loaded = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise LatxaError(f"{path}: cannot be read as a JSON object", hint="remove it to start again") from None
    return loaded if isinstance(loaded, dict) else None


def difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Return in words the first setting in which two runs differ; the empty string when they agree."""
    old, new = (orjson.loads(orjson.dumps(settings, default=str)) for settings in (old, new))
    for name in [*new, *(name for name in old if name not in new)]:
        if old.get(name) != new.get(name):
            flag = name.replace("_", "-")
            return f"`{flag}` was {_shown(old.get(name))} and is now {_shown(new.get(name))}"
    return ""


def changed_input(inputs: list[dict[str, Any]]) -> str:
    """Return the name of the first input that is no longer what a manifest says; the empty string when all are."""
    for entry in inputs:
        if "xxh3_128" in entry and fingerprint(entry["path"]).get("xxh3_128") != entry["xxh3_128"]:
            return str(entry["path"])
    return ""


def _shown(value: Any) -> str:
    return "not given" if value is None else f"`{value}`"


def _without_password(word: str) -> str:
    return re.sub(r"(://)[^/@\s]+@", r"\1***@", word)
