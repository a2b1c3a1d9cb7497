"""A folder with answers, and `compare`, which is run in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from answers import Compare, Ended, answers
from tiny import Latxa, write_jsonl


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`two.jsonl` has answers of `base` and of `ours`, which is better, to two tasks."""
    records = [
        record
        for model, skill in (("base", 0.5), ("ours", 0.65))
        for task, language in (("towns", "eu"), ("ports", "en"))
        for record in answers(model, skill, task=task, language=language)
    ]
    write_jsonl(tmp_path / "two.jsonl", records)
    return tmp_path


@pytest.fixture
def compare(latxa: Latxa, folder: Path) -> Compare:
    def run(*words: str, **options: Any) -> Ended:
        return Ended(latxa("compare", *words, cwd=folder, **options))

    return run
