"""`FILE.manifest.json`: the verb, settings and inputs that made FILE. It is written last, so it marks FILE as whole."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import orjson

from latxa_cli import __version__
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.inputs import fingerprint
from latxa_cli.stream.records import JsonObject
from latxa_cli.stream.secrets import without_secrets
from latxa_cli.stream.writer import write_file


def manifest_of(output: Path) -> Path:
    """Return the path of the manifest: beside an output file, inside an output directory."""
    return output / "manifest.json" if output.is_dir() else output.with_name(output.name + ".manifest.json")


def save(path: Path, *, verb: str, settings: JsonObject, started: float, **facts: object) -> None:
    """Write the manifest atomically; `started` is the time of the run's beginning, in seconds since the epoch."""
    manifest = {
        "verb": verb,
        "version": __version__,
        "argv": [without_secrets(word) for word in sys.argv],
        "python": sys.version.split()[0],
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 3),
        "settings": settings,
        **facts,
    }
    write_file(path, orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE, default=str))


def load(path: Path) -> JsonObject | None:
    """Return a manifest, or another small JSON object that a run wrote; None where there is none.

    Raises LatxaError for a file that is not JSON.
    """
    try:
        loaded = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise LatxaError(f"{path}: cannot be read as a JSON object", hint="remove it to start again") from None
    return loaded if isinstance(loaded, dict) else None


def difference(old: JsonObject, new: JsonObject) -> str:
    """Return in words the first setting in which two runs differ; the empty string when they agree."""
    old, new = (orjson.loads(orjson.dumps(settings, default=str)) for settings in (old, new))
    for name in [*new, *(name for name in old if name not in new)]:
        if old.get(name) != new.get(name):
            flag = name.replace("_", "-")
            return f"`{flag}` was {_shown(old.get(name))} and is now {_shown(new.get(name))}"
    return ""


def changed_file(entries: list[JsonObject]) -> str:
    """Return the path of the first entry whose file has another size or hash by now; else the empty string."""
    for entry in entries:
        path = Path(entry["path"])
        if path.is_file() and path.stat().st_size != entry.get("bytes", path.stat().st_size):
            return str(path)
        if "xxh3_128" in entry and fingerprint(path).get("xxh3_128") != entry["xxh3_128"]:
            return str(path)
    return ""


def _shown(value: object) -> str:
    return "not given" if value is None else f"`{value}`"
