"""Tables, as rows of values that JSON can hold: Parquet files, and datasets of the hub (`hf:NAME`).

Arrow has types that JSON lacks, and values that Python lacks. None of them stops a run:

- dates, times and timestamps of any unit and year become ISO 8601 strings, and those with a zone are in UTC;
- durations become ISO 8601 durations (`PT1.5S`);
- decimals become numbers where a number holds all their digits, else strings;
- bytes become text where they are UTF-8, else `{"base64": …}`, and so do strings that are not UTF-8;
- maps become objects;
- objects and lists that a writer packed into JSON strings (`metadata`, `messages`) are unpacked.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import orjson

from latxa_cli.stream.checks import CONTAINERS
from latxa_cli.stream.errors import LatxaError

if TYPE_CHECKING:
    import pyarrow as pa

    from latxa_cli.stream.records import Record

ROWS = 1000  # rows of a dataset that are read at once
EXACT_DIGITS = 15  # decimal digits that every 64-bit float keeps
_UNNEEDED_ZEROS = re.compile(r"(\.\d*?)0+$")


def parquet_rows(path: str) -> Iterator[Record]:
    """Yield the rows of a Parquet file; raises LatxaError."""
    import pyarrow
    import pyarrow.parquet

    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
            yield from rows(batch, path)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
        raise LatxaError(f"{path}: is not Parquet, or is damaged ({str(error).splitlines()[0]})") from None


def dataset_rows(name: str) -> Iterator[Record]:
    """Yield the rows of the dataset `OWNER/NAME[/CONFIGURATION][:SPLIT]`; raises LatxaError."""
    import datasets

    path, _, split = name.partition(":")
    *repository, configuration = path.split("/") if path.count("/") == 2 else [*path.split("/"), None]
    try:
        dataset = datasets.load_dataset(
            "/".join(map(str, repository)), configuration, split=split or "train", streaming=True
        )
        for table in dataset.with_format("arrow").iter(batch_size=ROWS):
            yield from rows(table, f"hf:{name}")
    except (OSError, ValueError) as error:  # `datasets` raises one for an unreachable hub, the other for unknown names
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise LatxaError(
            f"`hf:{name}` cannot be read: {reason}",
            hint="is the name right (`hf:OWNER/NAME`, `/CONFIGURATION`, `:SPLIT`), and `HF_TOKEN` set if it is gated?",
        ) from None


def rows(table: pa.RecordBatch | pa.Table, label: str = "the table") -> Iterator[Record]:
    """Yield the rows of an Arrow table with values that JSON can hold; raises LatxaError for columns of one name."""
    names = table.schema.names
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise LatxaError(f"{label}: two columns are called `{twice[0]}`", hint="give one another name")
    columns = [_values(column) for column in table.columns]
    for place, name in enumerate(names):
        if name in CONTAINERS:
            columns[place] = [_unpacked(value) for value in columns[place]]
    for row in zip(*columns, strict=True):
        yield dict(zip(names, row, strict=True))


def _unpacked(value: Any) -> Any:
    """Return the object or list in a JSON string; any other value is returned unchanged."""
    if type(value) is not str or value[:1] not in ("{", "["):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _values(array: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return the values of an array of any type, nested or not, as values that JSON can hold."""
    import pyarrow as pa

    if isinstance(array, pa.ChunkedArray):
        return [value for chunk in array.chunks for value in _values(chunk)]
    if isinstance(array, pa.ExtensionArray):
        return _values(array.storage)
    convert = _NESTED.get(_family(array.type))
    return convert(array) if convert else _leaves(array)


def _family(type_: pa.DataType) -> str:
    """Return the name of a nested type without its size: `list` of `large_list`, `fixed_size_list`."""
    return re.sub(r"^(large|fixed_size)_|_view$", "", str(type_).partition("<")[0])


def _structs(array: pa.StructArray) -> list[Any]:
    names = [field.name for field in array.type]
    columns = [_values(column) for column in array.flatten()]
    whole = zip(*columns, strict=True) if columns else ((),) * len(array)
    objects = [dict(zip(names, row, strict=True)) for row in whole]
    return [value if there else None for value, there in zip(objects, array.is_valid().to_pylist(), strict=True)]


def _lists(array: pa.ListArray) -> list[Any]:
    import pyarrow.compute as pc

    items = _values(array.flatten())
    lengths = pc.list_value_length(array).to_pylist()
    found, start = [], 0
    for length in lengths:
        found.append(None if length is None else items[start : start + length])
        start += length or 0
    return found


def _maps(array: pa.MapArray) -> list[Any]:
    offsets = array.offsets.to_pylist()
    keys, values = _values(array.keys), _values(array.items)
    first = offsets[0]  # not 0 in a slice, whose keys and items may be those of the whole array
    if len(keys) == offsets[-1] - first:
        offsets = [offset - first for offset in offsets]
    objects = [
        {str(key): value for key, value in zip(keys[start:end], values[start:end], strict=True)}
        for start, end in pairwise(offsets)
    ]
    return [value if there else None for value, there in zip(objects, array.is_valid().to_pylist(), strict=True)]


def _dictionary(array: pa.DictionaryArray) -> list[Any]:
    distinct = _values(array.dictionary)
    return [None if index is None else distinct[index] for index in array.indices.to_pylist()]


def _run_ends(array: pa.RunEndEncodedArray) -> list[Any]:
    import pyarrow.compute as pc

    return _values(pc.run_end_decode(array))


_NESTED = {"struct": _structs, "list": _lists, "map": _maps, "dictionary": _dictionary, "run_end_encoded": _run_ends}


def _leaves(array: pa.Array) -> list[Any]:
    """Return the values of an array that is not nested."""
    from pyarrow import types

    type_ = array.type
    if types.is_timestamp(type_) or types.is_date(type_):
        return _moments(array)
    if types.is_duration(type_):
        numbers = array.cast("int64").to_pylist()
        return [None if number is None else f"PT{_seconds(number, type_.unit)}S" for number in numbers]
    if types.is_time(type_):
        return [value and _UNNEEDED_ZEROS.sub(r"\1", value).rstrip(".") for value in array.cast("string").to_pylist()]
    if types.is_decimal(type_):
        return _decimals(array)
    if types.is_interval(type_):
        return [None if value is None else _interval(*value) for value in array.to_pylist()]
    if str(type_).rpartition("large_")[2].startswith(("string", "binary", "fixed_size_binary")):
        return _texts(array)
    return array.to_pylist()


def _moments(array: pa.Array) -> list[str | None]:
    """Return dates and timestamps in ISO 8601, also of years that Python's `datetime` does not reach."""
    import numpy as np
    from pyarrow import types

    days = types.is_date(array.type)
    unit = "D" if days else array.type.unit
    numbers = array.cast("date32").cast("int32") if days else array.cast("int64")
    moments = np.asarray(numbers.fill_null(0)).astype("int64").view(f"datetime64[{unit}]")
    zone = "" if days or array.type.tz is None else "+00:00"
    return [
        _UNNEEDED_ZEROS.sub(r"\1", text).rstrip(".") + zone if there else None
        for text, there in zip(np.datetime_as_string(moments).tolist(), array.is_valid().to_pylist(), strict=True)
    ]


def _seconds(number: int, unit: str) -> str:
    """Return a number of `unit` in seconds, with all its digits."""
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[unit]
    seconds, fraction = divmod(abs(number), 10**digits)
    text = f"{seconds}.{fraction:0{digits}}".rstrip("0") if fraction else str(seconds)
    return f"-{text}" if number < 0 else text


def _interval(months: int, days: int, nanoseconds: int) -> str:
    return f"P{months}M{days}DT{_seconds(nanoseconds, 'ns')}S"


def _decimals(array: pa.Array) -> list[Any]:
    digits = array.cast("string").to_pylist()
    if array.type.precision > EXACT_DIGITS:
        return digits
    return [None if value is None else float(value) for value in digits]  # Arrow's own cast to floats is not exact


def _texts(array: pa.Array) -> list[Any]:
    """Return strings and bytes as text, and those that are not UTF-8 as objects."""
    import pyarrow as pa

    try:
        # A cast from bytes checks that they are UTF-8; one from strings does not, but `to_pylist` then fails.
        return array.cast("large_string").to_pylist()
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return [None if value is None else _text(value) for value in array.cast("large_binary").to_pylist()]


def _text(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode()}
