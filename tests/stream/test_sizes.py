"""Sizes as people write and read them."""

from __future__ import annotations

import pytest

from latxa_cli.stream.sizes import parse_size, show_size


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("2GB", 2 * 10**9),
        ("800 MB", 800 * 10**6),
        ("1.5GiB", 3 << 29),
        ("64k", 64_000),
        ("12", 12),
        ("3tb", 3 * 10**12),
    ],
)
def test_sizes_are_read(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "2 apples", "1e9", "2GBB"])
def test_what_is_no_size_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(("count", "text"), [(0, "0 bytes"), (1_400_000_000, "1.4 GB"), (950_000, "950 kB")])
def test_sizes_are_shown(count: int, text: str) -> None:
    assert show_size(count) == text
