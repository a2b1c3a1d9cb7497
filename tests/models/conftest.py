"""Fixtures: a tiny model and a small mix."""

from __future__ import annotations

from tiny_mix import config_file, model_directory, one_thread, records, tokenizer

__all__ = ["config_file", "model_directory", "one_thread", "records", "tokenizer"]
