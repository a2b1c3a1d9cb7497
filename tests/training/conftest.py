"""What `latxa prepare` makes of a small mix."""

from __future__ import annotations

import json

import pytest
from tiny_mix import config_file, model_directory, one_thread, records, tokenizer

__all__ = ["config_file", "model_directory", "one_thread", "records", "tokenizer"]


@pytest.fixture
def model(model_directory):
    from latxa_cli.model import load_model

    return load_model(str(model_directory), device="cpu")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, model_directory):
    """`prepared(records, …)` gives what `latxa prepare` makes of records, in rows of 64 tokens by default."""
    from latxa_cli.stages import Work, open_executor
    from latxa_cli.stream.sources import parse_sources
    from latxa_cli.training.data import prepare as room
    from latxa_cli.training.data.tokenised import TokenisingSettings

    def prepare(
        records, *, sequence_length=64, chat_loss="assistant", source_loss=None, fold_system=False, set_aside=False,
        model=None, **settings,
    ):  # fmt: skip
        folder = tmp_path_factory.mktemp("prepared")
        (folder / "mix.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        tokenising = TokenisingSettings.of(sequence_length, chat_loss, source_loss, fold_system=fold_system)
        plan = room.settings_for(model or str(model_directory), tokenising, **settings)
        sources = parse_sources([str(folder / "mix.jsonl")])
        with open_executor("local", 1) as pool, Work(folder / "work", {}, pool) as work:
            return room.prepare(sources, plan, work, folder / "rows", set_aside=set_aside)

    return prepare


@pytest.fixture(scope="session")
def rows(prepared, records):
    return prepared(records).rows


@pytest.fixture(scope="session")
def batch(rows):
    """All the rows as arrays."""
    return rows.batch(range(len(rows)))
