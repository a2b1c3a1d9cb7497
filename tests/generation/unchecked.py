"""`latxa translate` for engines that repeat or invent: one example, a language of no code, and no checks."""

from __future__ import annotations

from pathlib import Path

import tiny

from latxa_cli.translation.checks.checks import REASONS

TRANSLATE = (
    "translate", "chats.jsonl", "--shots", "shots.jsonl", "--from", "en", "--to", "qaa", "--to-name", "Island",
    "--checks", "none.toml",
)  # fmt: skip


def write_files(folder: Path) -> None:
    """Write the files that the words above name, but for the chats."""
    tiny.write_jsonl(folder / "shots.jsonl", [{"id": "s", "source": "the sea", "target": "itsasoa"}])
    (folder / "none.toml").write_text("".join(f"[{check}]\non = false\n" for check in REASONS))
