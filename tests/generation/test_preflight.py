"""What a dry run of a verb that generates reads, shows and estimates."""

from __future__ import annotations

from latxa_cli.generation.preflight import RECORDS, first, preview, share
from latxa_cli.stream.records import Reject


def test_only_a_few_units_are_read() -> None:
    units = iter(range(100))
    assert first(units) == list(range(RECORDS)) and next(units) == RECORDS


def test_a_shard_has_its_share() -> None:
    assert [share(10, (index, 4)) for index in range(4)] == [3, 3, 2, 2]
    assert share(10, None) == 10 and share(None, (0, 4)) is None


def test_records_tokens_and_the_whole_are_told() -> None:
    said: list[str] = []
    record = {"id": "a", "metadata": {"instruction_tokens": 7, "answer_tokens": 5}}
    preview(said.append, [record, Reject({"id": "b"}, "empty answer")], total=1000)
    assert said[0].startswith('{"id":"a"') and said[1] == 'rejected (empty answer): {"id":"b"}'
    assert "2 records and 12 tokens" in said[2] and said[3].startswith("all 1,000 would take at most")
    said.clear()
    preview(said.append, [])
    assert said == ["there is nothing to do: the input is empty"]
