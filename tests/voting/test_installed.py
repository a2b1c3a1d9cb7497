"""`latxa vote` from a wheel alone: all pages and all languages are there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from poll_server import Voter, serving, votes_in, write_responses

from latxa_cli.stream.tables import names_in
from latxa_cli.voting.page import BROWSER, LANGUAGES


def test_a_poll_from_a_wheel(wheel: Path, tmp_path: Path) -> None:
    files = write_responses(tmp_path, prompts=2)
    away = os.environ | {"PYTHONPATH": str(wheel), "PYTHONDONTWRITEBYTECODE": "1"}
    where = "import latxa_cli; print(latxa_cli.__file__)"
    found = subprocess.run([sys.executable, "-c", where], cwd=tmp_path, env=away, capture_output=True, text=True)
    assert found.stdout.startswith(str(wheel)), found
    for language in names_in(LANGUAGES):
        words = ("-o", f"{language}.jsonl", "--language", language)
        with serving(tmp_path, *files, *words, env=away) as served:
            voter = Voter.of(served)
            assert f'<html lang="{language}"'.encode() in voter.ask("GET", "/")[1]
            if language == "eu":
                for path in BROWSER.iterdir():
                    if path.suffix != ".html":
                        assert voter.ask("GET", f"/{path.name}") == (200, path.read_bytes())
                assert voter.cast(voter.ballot()["ballot"])[0] == 200
    assert len(votes_in(tmp_path / "eu.jsonl")) == 1
