"""Data that come with `report`: what is known of the paper's benchmarks."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from latxa_cli.stream.records import JsonObject

FOLDER = Path(__file__).resolve().parents[1] / "shipped"


@cache
def benchmarks() -> dict[str, JsonObject]:
    """Return what is known of each benchmark of the paper: `language`, `dataset`, `subset`, `split`."""
    return tomllib.loads((FOLDER / "benchmarks.toml").read_text(encoding="utf-8"))
