"""What a run trains on and is validated on: what goes together, and what is told before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.sources import parse_sources
from latxa_cli.training.data.sources import find_sources


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with `prepared` and `held`, which look prepared, and `mix.jsonl`."""
    monkeypatch.chdir(tmp_path)
    for name in ("prepared", "held"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "prepared.json").write_text("{}")
    (tmp_path / "mix.jsonl").write_text("")
    return tmp_path


def found(sources, validation=(), *, chat_template=None, processes=1):
    return find_sources(sources, validation, lambda names: parse_sources(names or ["-"]), chat_template, processes)


def test_prepared_folders_or_records(place):
    data = found(["prepared"], ["eu=held", "own_2=mix.jsonl"])
    assert (data.folders, data.records) == ([Path("prepared")], [])
    assert data.validation == {"eu": "held", "own_2": "mix.jsonl"}
    assert {name: [one.files for one in read] for name, read in data.validation_records.items()} == {
        "own_2": [("mix.jsonl",)]
    }  # fmt: skip
    data = found(["mix.jsonl"])
    assert data.folders == [] and [one.files for one in data.records] == [("mix.jsonl",)]


@pytest.mark.parametrize(
    ("sources", "options", "message"),
    [
        (["prepared", "mix.jsonl"], {}, "`prepared` is prepared already, and other data can't be added"),
        (["prepared"], {"chat_template": Path("t")}, "and `--chat-template` can't be added"),
        (["mix.jsonl"], {"processes": 2}, "several processes train on data that are prepared before"),
        (["prepared"], {"processes": 2, "validation": ["eu=mix.jsonl"]}, "several processes train on data that are"),
        (["mix.jsonl"], {"validation": ["mix.jsonl"]}, "`--val mix.jsonl` is not `NAME=FILE`"),
        (["mix.jsonl"], {"validation": ["eu="]}, "`--val eu=` is not `NAME=FILE`"),
        (["mix.jsonl"], {"validation": ["a=mix.jsonl", "a=held"]}, "`--val` is given twice for `a`"),
        (["mix.jsonl"], {"validation": ["../a=mix.jsonl"]}, "a name is of letters, digits"),
    ],
)
def test_what_does_not_go_together(place, sources, options, message):
    with pytest.raises(UsageError) as caught:
        found(sources, **options)
    assert message in caught.value.message
    assert ("chat_template" in options) is (caught.value.hint == "`latxa prepare --chat-template`")


def test_several_processes_take_what_is_prepared(place):
    assert found(["prepared"], ["eu=held"], processes=8).validation_records == {}
