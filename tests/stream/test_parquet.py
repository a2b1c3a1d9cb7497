"""Tables as rows: types that JSON has not, and values that Python has not."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.parquet import parquet_rows, rows

pa = pytest.importorskip("pyarrow")
pc = pytest.importorskip("pyarrow.compute")
pytest.importorskip("pyarrow.parquet")

DAY = datetime.date(2024, 5, 17)
YEAR_12000 = 316_537_891_200  # seconds


def columns() -> Iterator[tuple[Any, list[Any], list[Any]]]:
    """Yield a type, values, and what is read of them."""
    yield pa.timestamp("ns"), [1_500_000_000, 1], ["1970-01-01T00:00:01.5", "1970-01-01T00:00:00.000000001"]
    yield pa.timestamp("us", "Atlantis/Capital"), [60_000_000], ["1970-01-01T00:01:00+00:00"]
    yield pa.timestamp("s"), [YEAR_12000, -1], ["12000-09-08T00:00:00", "1969-12-31T23:59:59"]
    yield pa.timestamp("ms", "+02:00"), [1250], ["1970-01-01T00:00:01.25+00:00"]
    yield pa.date32(), [DAY], ["2024-05-17"]
    yield pa.date64(), [DAY], ["2024-05-17"]
    yield pa.time32("s"), [datetime.time(7, 5, 10)], ["07:05:10"]
    yield pa.time64("ns"), [7_000_000_100], ["00:00:07.0000001"]
    yield pa.duration("ms"), [90_500, -20, 7000], ["PT90.5S", "PT-0.02S", "PT7S"]
    yield pa.duration("us"), [1_500_000, 1], ["PT1.5S", "PT0.000001S"]
    yield pa.month_day_nano_interval(), [(14, 3, 1_500_000_000)], ["P14M3DT1.5S"]
    yield pa.decimal128(4, 2), [decimal.Decimal("0.95"), decimal.Decimal("-10.00")], [0.95, -10.0]
    yield pa.decimal128(38, 3), [decimal.Decimal("12345678901234567890.125")], ["12345678901234567890.125"]
    yield pa.decimal256(60, 1), [decimal.Decimal("0.5")], ["0.5"]
    for type_ in (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3)):
        yield type_, ["ñu".encode(), b"\xff\x00\xd8"], ["ñu", {"base64": "/wDY"}]
    yield pa.string_view(), ["ñu"], ["ñu"]
    yield pa.uuid(), [uuid.UUID(int=255).bytes], [{"base64": "AAAAAAAAAAAAAAAAAAAA/w=="}]
    yield pa.float16(), [1.5], [1.5]
    for list_ in (pa.list_, pa.large_list, pa.list_view, pa.large_list_view):
        yield list_(pa.duration("s")), [[1, None], []], [["PT1S", None], []]
    yield pa.list_(pa.list_(pa.binary())), [[[b"a"], None, [b"\xff"]]], [[["a"], None, [{"base64": "/w=="}]]]
    yield pa.list_(pa.timestamp("ns"), 2), [[0, 10**9]], [["1970-01-01T00:00:00", "1970-01-01T00:00:01"]]
    yield (
        pa.struct([("at", pa.date32()), ("by", pa.string())]),
        [{"at": DAY, "by": None}],
        [{"at": "2024-05-17", "by": None}],
    )
    yield pa.struct([]), [{}], [{}]
    yield (
        pa.map_(pa.string(), pa.decimal128(3, 1)),
        [[("a", decimal.Decimal("1.5")), ("b", None)], []],
        [
            {"a": 1.5, "b": None},
            {},
        ],
    )
    yield pa.map_(pa.int32(), pa.string()), [[(7, "x")]], [{"7": "x"}]
    yield pa.dictionary(pa.int8(), pa.string()), ["b", "a", "b"], ["b", "a", "b"]
    yield pa.bool_(), [True, False], [True, False]
    yield pa.uint64(), [2**64 - 1], [2**64 - 1]


@pytest.mark.parametrize(("type_", "values", "expected"), list(columns()), ids=lambda value: str(value)[:40])
def test_every_type_is_read_as_what_json_can_hold(type_: Any, values: list[Any], expected: list[Any]) -> None:
    array = pa.array([*values, None], type=type_)
    table = pa.table({"x": array, "text": ["a"] * len(array)})
    read = list(rows(table))
    assert [row["x"] for row in read] == [*expected, None]
    assert all(row["text"] == "a" for row in read)
    assert orjson.loads(orjson.dumps(read)) == read
    for start in range(len(array)):  # a slice knows its place in the whole array
        assert [row["x"] for row in rows(table.slice(start))] == [*expected, None][start:]
    assert [row["x"] for row in rows(pa.concat_tables([table, table]))] == [*expected, None] * 2


def test_a_string_that_is_not_utf8_is_an_object_and_its_neighbours_are_text() -> None:
    strings = pa.Array.from_buffers(pa.string(), 3, pa.array([b"a", b"\xe9", b"c"]).buffers())
    assert [row["text"] for row in rows(pa.table({"text": strings}))] == ["a", {"base64": "6Q=="}, "c"]


def test_runs_are_read() -> None:
    encoded = pc.run_end_encode(pa.array(["a", "a", None, "b"]))
    assert [row["x"] for row in rows(pa.table({"x": encoded}))] == ["a", "a", None, "b"]


def test_a_table_without_columns_has_no_rows() -> None:
    assert list(rows(pa.table({}))) == []


def test_two_columns_of_one_name_are_an_error_and_neither_is_taken(tmp_path: Path) -> None:
    import pyarrow.parquet

    file = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pa.table([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]), file)
    with pytest.raises(LatxaError, match=r"x\.parquet: two columns are called `text`"):
        list(parquet_rows(str(file)))


def test_what_is_not_parquet_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    file.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(LatxaError, match=r"x\.parquet: is not Parquet, or is damaged"):
        list(parquet_rows(str(file)))
