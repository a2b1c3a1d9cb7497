"""The files of a comparison, and what their names say: `latxa compare [NAME=]ANSWERS …`.

Files hold records of answers, or are those that lm-evaluation-harness writes with `--log_samples`:
FOLDER/MODEL/samples_TASK_TIME.jsonl, with results_TIME.json beside them. A folder stands for all such files in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.inputs import STDIN, check_exists
from latxa_cli.stream.records import JsonObject, Record

SAMPLES = re.compile(r"samples_(?P<task>.+?)(?:_(?P<time>\d{4}-\d\d-\d\dT[\d.:-]+))?\.jsonl(?:\.gz|\.zst)?")

COMMIT = 16  # hex digits of a commit in `weights`, as in the records of `eval`


@dataclass(frozen=True)
class Part:
    """One file.

    Attributes:
        file: its path, or `-`.
        model: the model whose answers it holds, as the user names it; the empty string where records say it.
        task, path, facts: of a file of the harness, its task, the harness's name of the model, and what the results
            beside it say of the task, as in records of answers.
    """

    file: str
    model: str = ""
    task: str = ""
    path: str = ""
    facts: Record = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What messages call the file."""
        return "stdin" if self.file == STDIN else self.file

    @property
    def kind(self) -> str:
        """The kind of its records."""
        return "sample" if self.task else "answer"


def parts_of(arguments: Sequence[str] | None) -> tuple[list[Part], list[str]]:
    """Return the files that `arguments` name (default: stdin), and sentences about those that are not read.

    Of several runs of a task in one folder, the newest is read.

    Raises:
        UsageError: a name without a file, a file that is named twice, or a terminal as stdin.
        LatxaError: a missing file, or a folder without files of the harness.
    """
    named = [_named(argument) for argument in arguments or [STDIN]]
    files = [(name, file) for name, where in named for file in _files(where)]
    seen: dict[str, str] = {}
    for _, file in files:
        real = file if file == STDIN or file.startswith("hf:") else str(Path(file).resolve())
        if real in seen:
            raise UsageError(f"`{file}` is named twice", hint="name every file once")
        seen[real] = file
    newest, remarks = _newest(files)
    beside: dict[Path, JsonObject] = {}
    return [_part(name, file, beside) for name, file in newest], remarks


def _named(argument: str) -> tuple[str, str]:
    name, equals, where = argument.partition("=")
    # A `=` may be part of a path; a name holds no `/`.
    if not equals or "/" in name or name.startswith("hf:") or Path(argument).exists():
        return "", argument
    if not name or not where:
        raise UsageError(f"`{argument}` has no {'file' if name else 'name'}", hint="write `NAME=FILE`")
    return name, where


def _files(where: str) -> list[str]:
    check_exists(where)
    if where == STDIN or where.startswith("hf:") or not Path(where).is_dir():
        return [where]
    found = sorted(str(path) for path in Path(where).rglob("samples_*") if SAMPLES.fullmatch(path.name))
    if not found:
        hint = "name files of `latxa eval --answers`, or folders of lm-evaluation-harness"
        raise LatxaError(f"{where}: there is no file `samples_*.jsonl` in this folder", hint=hint)
    return found


def _newest(files: Iterable[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the files without those that a later run of the same task in the same folder stands beside."""
    runs: dict[object, list[tuple[str, str, str]]] = {}
    for name, file in files:
        found = SAMPLES.fullmatch(Path(file).name)
        key: object = (Path(file).parent, found["task"], name) if found else file
        runs.setdefault(key, []).append((found["time"] or "" if found else "", name, file))
    kept, remarks = [], []
    for some in runs.values():
        *older, (_, name, file) = sorted(some)
        kept.append((name, file))
        if older:
            left = "1 older run" if len(older) == 1 else f"{len(older)} older runs"
            remarks.append(f"{file}: the newest is read; {left} of the task beside it left unread")
    return kept, remarks


def _part(name: str, file: str, beside: dict[Path, JsonObject]) -> Part:
    found = SAMPLES.fullmatch(Path(file).name)
    if not found:
        return Part(file, name)
    folder = Path(file).resolve().parent
    results = folder / f"results_{found['time']}.json"
    if results not in beside:
        beside[results] = _results(results)
    report = beside[results]
    return Part(
        file,
        name or folder.name.rpartition("__")[2],
        found["task"],
        _text(report.get("model_name")) or folder.name.replace("__", "/"),
        _facts(found["task"], report),
    )


def _results(path: Path) -> JsonObject:
    """Return the harness's results; nothing where they are missing or half written: samples can do without."""
    try:
        text = path.read_bytes()
    except OSError:
        return {}
    try:
        # The harness writes numbers that JSON has not.
        report = orjson.loads(re.sub(rb"(?<=[:\[,])\s*(?:NaN|-?Infinity)(?=\s*[,\]}])", b"null", text))
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}


def _facts(task: str, report: JsonObject) -> Record:
    """Return what the harness's results say of a task, as records of answers say it; what is odd is not said."""
    shots, configuration = _object(report, "n-shot").get(task), _object(report, "configs", task)
    language = _object(configuration, "metadata").get("language")
    chat = bool(report["chat_template"]) if "chat_template" in report else None
    delimiter = configuration.get("target_delimiter")
    aggregated, members = _object(report, "groups"), _object(report, "group_subtasks")
    groups = {name: _leaves(name, members) for name in aggregated}
    around = [name for name, leaves in groups.items() if task in leaves]
    facts = {
        "num_fewshot": shots if isinstance(shots, int) else None,
        "chat": chat,
        # As `eval` has it: nothing under a template, in a plain prompt a space unless the task says otherwise.
        "target_delimiter": delimiter if not chat and isinstance(delimiter, str) and delimiter != " " else None,
        "weights": (_text(_object(report, "config").get("model_sha")) or "")[:COMMIT] or None,
        "language": language if isinstance(language, str) else None,
        "group": max(around, key=lambda name: len(groups[name])) if around else None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _leaves(name: str, members: JsonObject, above: tuple[str, ...] = ()) -> set[str]:
    inner = members.get(name)
    if name in above or not isinstance(inner, list) or not inner:
        return {name} if above else set()
    return set().union(*(_leaves(str(one), members, (*above, name)) for one in inner))


def _object(record: object, *names: str) -> JsonObject:
    for name in names:
        record = record.get(name) if isinstance(record, dict) else None
    return record if isinstance(record, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
