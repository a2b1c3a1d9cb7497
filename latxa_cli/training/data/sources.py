"""What a run trains on and is validated on: rows that `latxa prepare` made, or records, which are prepared first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from latxa_cli.stages import open_work
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.named import named_values
from latxa_cli.stream.sources import Source
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.data import prepare
from latxa_cli.training.data.rows import PreparedRows, is_prepared

if TYPE_CHECKING:
    from latxa_cli.stream.run import Run


@dataclass(frozen=True, slots=True)
class DataSources:
    """Prepared `folders`, or `records`; `validation`: each named set as it was given, and the records of those that
    are not prepared."""

    folders: Sequence[Path]
    records: Sequence[Source]
    validation: Mapping[str, str]
    validation_records: Mapping[str, Sequence[Source]]


def find_sources(
    sources: Sequence[str], validation: Sequence[str], read: Callable[[list[str]], list[Source]],
    chat_template: Path | None, processes: int,
) -> DataSources:  # fmt: skip
    """Find what is trained on, and what is validated on (`NAME=FILE`).

    `read` makes sources of what is not prepared, and sees that they are there, before hours of work. Raises what `read`
    does, and UsageError for what does not go together.
    """
    folders = [Path(source) for source in sources if is_prepared(source)]
    records = [] if folders else read(list(sources))
    if folders and (len(folders) < len(sources) or chat_template):
        what = "`--chat-template`" if chat_template else "other data"
        raise UsageError(f"`{folders[0]}` is prepared already, and {what} can't be added", hint="prepare all together")
    named = named_values("--val", validation, "NAME=FILE", str, hint="`--val eu=held_out.jsonl`")
    for name in named:
        if not name.replace("-", "").replace("_", "").isalnum():  # it names a folder, and stands in the metrics
            raise UsageError(f"`--val {name}=…`: a name is of letters, digits, `-` and `_`")
    if processes > 1 and not (folders and all(map(is_prepared, named.values()))):
        raise UsageError(
            "several processes train on data that are prepared before, so that none waits for others to tokenise",
            hint="`latxa prepare … -o prepared`, on one machine without a GPU",
        )
    unprepared = {name: read([source]) for name, source in named.items() if not is_prepared(source)}
    return DataSources(folders, records, named, unprepared)


@dataclass(frozen=True, slots=True)
class RunData:
    """Makes the rows of a `run` out of its `sources`, in `folder` and beside it as far as they are not prepared."""

    run: Run
    sources: DataSources
    model: str
    config: TrainConfig
    folder: Path
    trust_remote_code: bool = False

    def rows(self, chat_template: Path | None, workers: int | None) -> PreparedRows:
        """Return the rows of training; raises as `prepare.prepare` and `PreparedRows` do."""
        if self.sources.folders:
            return PreparedRows(self.sources.folders)
        template = prepare.template_of(chat_template)
        return PreparedRows([self._prepared(self.sources.records, self.folder, template, workers)])

    def validation(self, rows: PreparedRows) -> dict[str, PreparedRows]:
        """Return the rows of the named sets, prepared as those of training were.

        Raises as `rows` does, and LatxaError for a set that was prepared in another way.
        """
        learnt = rows.facts["chat_template"]
        template = learnt if isinstance(learnt, str) else None  # several, by name, can only be the model's own
        sets = {}
        for name, given in self.sources.validation.items():
            records = self.sources.validation_records.get(name)
            beside = self.folder.with_name(f"{self.folder.name}-{name}")
            folder = Path(given) if records is None else self._prepared(records, beside, template, 1)
            sets[name] = PreparedRows([folder])
            check_validation(name, sets[name], rows)
        return sets

    def _prepared(
        self, sources: Sequence[Source], folder: Path, chat_template: str | None, workers: int | None
    ) -> Path:  # fmt: skip
        """Prepare sources, as a stage of the run; return where the rows are.

        An interrupted run goes on with what is there whatever has changed of the settings that prepare nothing.
        """
        run, config = self.run, self.config
        settings = prepare.settings_for(
            self.model, config.sequence_length, config.chat_loss, config.source_loss, chat_template=chat_template,
            trust_remote_code=self.trust_remote_code,
        )  # fmt: skip
        plan = {
            "model": self.model, "sequence_length": config.sequence_length, "chat_loss": config.chat_loss,
            "source_loss": config.source_loss, "chat_template": chat_template,
            "uses": [used for used in run.uses if used["path"] == self.model], "rejects": run.sets_aside,
        }  # fmt: skip
        with open_work(run, folder, plan, prepare.MODULES, workers=workers) as work:
            made = prepare.prepare(sources, settings, work, work.folder / "rows", set_aside=run.sets_aside)
            run.account(made.read, made.inputs, made.rejects())
        run.say_all(made.lines())
        return work.folder / "rows"


def check_validation(name: str, validation: PreparedRows, rows: PreparedRows) -> None:
    """Raise LatxaError where the set `name` was prepared in another way than the rows of training."""
    for what in ("tokenizer", "chat_template"):
        if validation.facts[what] != rows.facts[what]:
            raise LatxaError(
                f"`--val {name}` was prepared with another {what.replace('_', ' ')} than the data of training",
                hint="prepare it again in the same way, or give its records",
            )
    if validation.sequence_length > rows.sequence_length:
        raise LatxaError(
            f"`--val {name}` has rows of {validation.sequence_length} tokens, those of training have "
            f"{rows.sequence_length}",
            hint="prepare it again, or give its records",
        )
