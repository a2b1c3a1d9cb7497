"""Data that come with `report`: what is known of the paper's benchmarks, and the published results of its models.

`published.jsonl` holds result records of 20 of the paper's 24 models (arXiv 2506.07597), from the repository
hitz-zentroa/latxa-instruct (MIT). `metadata.precision` is the step that a value was rounded to, where it was.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from latxa_cli.stream.records import JsonObject

FOLDER = Path(__file__).resolve().parents[1] / "shipped"
PUBLISHED = FOLDER / "published.jsonl"


@cache
def benchmarks() -> dict[str, JsonObject]:
    """Return what is known of each benchmark of the paper: `language`, `dataset`, `subset`, `split`."""
    return tomllib.loads((FOLDER / "benchmarks.toml").read_text(encoding="utf-8"))
