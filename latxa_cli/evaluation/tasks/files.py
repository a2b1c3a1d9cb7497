"""Task files: YAML of lm-evaluation-harness, with data paths relative to the file, not to the current directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import JsonObject

# The values of `dataset_path` for data in files; any other names a repository on the hub.
FILE_FORMATS = frozenset(("json", "csv", "parquet", "arrow", "text", "xml"))


# A path, a list of them, or either by the name of a split.
DataFiles: TypeAlias = "str | list[DataFiles] | dict[str, DataFiles]"


def read(path: Path) -> JsonObject:
    """Return a task file's configuration, with `include`s merged, functions resolved and data paths absolute.

    Raises:
        LatxaError: the file cannot be read.
    """
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


def has_files(configuration: JsonObject) -> bool:
    """Whether the task's data are local files; a path within a repository on the hub is not."""
    path = str(configuration.get("dataset_path", ""))
    return path in FILE_FORMATS or path.startswith(".")


def _beside(folder: Path, files: DataFiles) -> DataFiles:
    """Return `data_files` with relative paths resolved against `folder`."""
    if isinstance(files, dict):
        return {split: _beside(folder, value) for split, value in files.items()}
    if isinstance(files, list):
        return [_beside(folder, value) for value in files]
    return files if "://" in str(files) else str(folder / Path(files).expanduser())


def data_files(configuration: JsonObject) -> Iterator[Path]:
    """Yield the local data files of a configuration from `read`."""
    arguments = configuration.get("dataset_kwargs") or {}
    waiting = [arguments.get("data_files")] if configuration.get("dataset_path") in FILE_FORMATS else []
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, (dict, list)):
            waiting += value.values() if isinstance(value, dict) else value
        elif isinstance(value, str) and "://" not in value:
            yield Path(value)


def broken_line(path: Path) -> str:
    """Return the place and fault of the first line that is no JSON object, such as `:3: is not JSON`, else nothing."""
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
