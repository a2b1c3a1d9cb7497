"""The data of a run, for training and validation: rows of `latxa prepare`, or records, which are prepared first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from latxa_cli.stages import day_of, open_work
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.named import named_values
from latxa_cli.stream.sources import Source
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.data import prepare
from latxa_cli.training.data.rows import PreparedRows, is_prepared
from latxa_cli.training.data.tokenised import TokenisingSettings

if TYPE_CHECKING:
    from latxa_cli.stream.run import Run


@dataclass(frozen=True, slots=True)
class DataSources:
    """The sources of a run's data.

    Attributes:
        folders: prepared folders, or none.
        records: sources of records, if there are no prepared folders.
        validation: {name of a validation set: its file or folder}.
        validation_records: {name: sources of records} of the sets that are not prepared.
    """

    folders: Sequence[Path]
    records: Sequence[Source]
    validation: Mapping[str, str]
    validation_records: Mapping[str, Sequence[Source]]


def find_sources(
    sources: Sequence[str], validation: Sequence[str], read: Callable[[list[str]], list[Source]],
    chat_template: Path | None, processes: int,
) -> DataSources:  # fmt: skip
    """Find the data of training and of validation, and check that they exist before hours of work.

    Args:
        sources: prepared folders, or files.
        validation: `NAME=FILE` of each set.
        read: makes sources of files.
        chat_template: the template that the user gave.
        processes: the number of processes.

    Raises:
        UsageError: sources, template or processes do not go together.
        LatxaError: as `read` does.
    """
    folders = [Path(source) for source in sources if is_prepared(source)]
    records = [] if folders else read(list(sources))
    if folders and (len(folders) < len(sources) or chat_template):
        addition = "other data" if len(folders) < len(sources) else "`--chat-template`"
        hint = "prepare all together" if len(folders) < len(sources) else "`latxa prepare --chat-template`"
        raise UsageError(f"`{folders[0]}` is prepared already, and {addition} can't be added", hint=hint)
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
    """The rows of a `run` from its `sources`; rows that are not prepared are made in `folder` and beside it."""

    run: Run
    sources: DataSources
    model: str
    config: TrainConfig
    folder: Path
    trust_remote_code: bool = False

    def rows(self, chat_template: Path | None, workers: int | None) -> PreparedRows:
        """Return the rows of training; raises as `prepare.prepare` and `PreparedRows` do."""
        if self.sources.folders:
            if self.run.settings.get("date"):
                raise UsageError(
                    f"`{self.sources.folders[0]}` is prepared already, and `--date` can't be added",
                    hint="`latxa prepare --date`",
                )
            rows = PreparedRows(self.sources.folders)
            self.run.say_all(rows.remarks)
            return rows
        template = prepare.template_of(chat_template)
        day = day_of(self.run, self.folder).isoformat()
        return PreparedRows([self._prepared(self.sources.records, self.folder, template, day, workers)])

    def validation(self, rows: PreparedRows) -> dict[str, PreparedRows]:
        """Return the rows of the validation sets, prepared like those of training.

        Raises:
            LatxaError: a set was prepared in another way; and as `rows` does.
        """
        own = rows.facts["chat_template"]
        template = own if isinstance(own, str) else None  # several, by name, can only be the model's own
        sets = {}
        for name, path in self.sources.validation.items():
            records = self.sources.validation_records.get(name)
            beside = self.folder.with_name(f"{self.folder.name}-{name}")
            day = rows.facts.get("date")  # there if the template asks for it
            folder = Path(path) if records is None else self._prepared(records, beside, template, day, 1)
            sets[name] = PreparedRows([folder])
            check_validation(name, sets[name], rows)
        return sets

    def _prepared(
        self, sources: Sequence[Source], folder: Path, chat_template: str | None, day: str | None, workers: int | None
    ) -> Path:  # fmt: skip
        """Prepare sources, as a stage of the run; return the folder of the rows.

        A resumed run keeps them if only settings have changed that have no part in preparing.
        """
        run, config = self.run, self.config
        tokenising = TokenisingSettings.of(
            config.sequence_length, config.chat_loss, config.source_loss, fold_system=config.fold_system
        )
        settings = prepare.settings_for(
            self.model, tokenising, chat_template=chat_template, day=day, trust_remote_code=self.trust_remote_code
        )
        plan = {
            "model": self.model, "sequence_length": config.sequence_length, "chat_loss": config.chat_loss,
            "source_loss": config.source_loss, "fold_system": config.fold_system, "chat_template": chat_template,
            "date": day,
            "uses": [used for used in run.intake.uses if used["path"] == self.model], "rejects": run.sets_aside,
        }  # fmt: skip
        with open_work(run, folder, plan, prepare.MODULES, workers=workers) as work:
            preparation = prepare.prepare(
                sources, settings, work, work.folder / "rows", set_aside=run.sets_aside, account=run.account
            )
        run.say_all(preparation.lines())
        return work.folder / "rows"


def check_validation(name: str, validation: PreparedRows, rows: PreparedRows) -> None:
    """Raise LatxaError where the set `name` was prepared in another way than the rows of training."""
    for fact in ("tokenizer", "chat_template", "fold_system"):
        if validation.facts.get(fact) != rows.facts.get(fact):
            raise LatxaError(
                f"`--val {name}` was prepared with another {fact.replace('_', ' ')} than the data of training",
                hint="prepare it again in the same way, or give its records",
            )
    if validation.sequence_length > rows.sequence_length:
        raise LatxaError(
            f"`--val {name}` has rows of {validation.sequence_length} tokens, those of training have "
            f"{rows.sequence_length}",
            hint="prepare it again, or give its records",
        )
