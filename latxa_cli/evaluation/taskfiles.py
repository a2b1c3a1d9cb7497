"""Task files: YAML of lm-evaluation-harness whose relative data files lie beside them, not in the current directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latxa_cli.stream.errors import LatxaError

# What `dataset_path` says when the data are files, not a repository on the hub.
FILE_FORMATS = frozenset(("json", "csv", "parquet", "arrow", "text", "xml"))


def read(path: Path) -> dict[str, Any]:
    """Return a task file's configuration, `include`s merged, functions resolved, data paths absolute."""
    import yaml
    from lm_eval.tasks._yaml_loader import load_yaml  # no public function reads a task file with its functions

    try:
        configuration = load_yaml(path)
    except (yaml.YAMLError, OSError, ValueError, ImportError, AttributeError) as error:
        raise LatxaError(f"{path}: cannot be read as a task: {' '.join(str(error).split())}") from error
    if not has_files(configuration):
        return configuration
    arguments = configuration.get("dataset_kwargs") or {}
    folder = path.resolve().parent
    local = {name: _beside(folder, arguments[name]) for name in ("data_files", "data_dir") if name in arguments}
    if configuration["dataset_path"] not in FILE_FORMATS:
        configuration["dataset_path"] = str(folder / configuration["dataset_path"])
    return configuration | ({"dataset_kwargs": arguments | local} if local else {})


def has_files(configuration: dict[str, Any]) -> bool:
    """Whether the task's data are files: paths within a repository on the hub are the hub's business."""
    path = str(configuration.get("dataset_path", ""))
    return path in FILE_FORMATS or path.startswith(".")


def _beside(folder: Path, files: Any) -> Any:
    """Return `data_files` (a path, a list, or either by split) with relative paths resolved against `folder`."""
    if isinstance(files, dict):
        return {split: _beside(folder, value) for split, value in files.items()}
    if isinstance(files, list):
        return [_beside(folder, value) for value in files]
    return files if "://" in str(files) else str(folder / Path(files).expanduser())


def data_files(configuration: dict[str, Any]) -> Iterator[Path]:
    """Yield the local data files that a task names, once absolute."""
    arguments = configuration.get("dataset_kwargs") or {}
    waiting = [arguments.get("data_files")] if configuration.get("dataset_path") in FILE_FORMATS else []
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, (dict, list)):
            waiting += value.values() if isinstance(value, dict) else value
        elif isinstance(value, str) and "://" not in value:
            yield Path(value)


def broken_line(path: Path) -> str:
    import orjson

    with path.open("rb") as lines:
        number = 0
        for number, line in enumerate(lines, 1):
            try:
                value = orjson.loads(line) if line.strip() else {}
            except ValueError:
                return f":{number}: is not JSON"
            if not isinstance(value, dict):
                return f":{number}: is not a JSON object"
    return "" if number else ": is empty"
