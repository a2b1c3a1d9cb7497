"""`--resume` with another engine than before: it is said, and the manifest lists all that wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
from aiohttp import web
from fake_engine import FakeEngine
from openai_server import MODEL, OpenAIServer
from tiny import Latxa

from latxa_cli.generation.delivery import note_engine
from latxa_cli.stream.outputs import Destination
from latxa_cli.stream.run import Run

FACTS = {
    "engine": "vllm", "engine_version": "1", "model": "m", "revision": None, "dtype": "bfloat16", "quantization": None,
    "device": "cuda:0", "prompt_tokens": 5,
}  # fmt: skip


def written(folder: Path, capsys: pytest.CaptureFixture[str], facts: dict[str, Any], last: int) -> tuple[Any, str]:
    """Write up to record `last`, or to the end; return the engines that the manifest lists, and what is said."""
    engine = FakeEngine(str)
    engine.facts = lambda: facts  # type: ignore[method-assign]

    def outcomes(run: Run) -> Any:
        for number in run.items(range(6)):
            if number == last:
                raise KeyboardInterrupt
            yield {"id": str(number)}

    try:
        with Run("respond", Destination(folder / "out.jsonl", resume=True), {}) as run:
            note_engine(run, engine)
            run.write(outcomes(run))
    except KeyboardInterrupt:
        return None, capsys.readouterr().err
    return json.loads((folder / "out.jsonl.manifest.json").read_text())["engines"], capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [("engine", "openai"), ("engine_version", "2"), ("dtype", "float16"), ("quantization", "fp8"), ("revision", "ab")],
)
def test_another_engine_is_said_and_listed(
    name: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert written(tmp_path, capsys, FACTS, 2) == (None, "")
    engines, said = written(tmp_path, capsys, FACTS | {name: value}, 9)
    before = f"`{FACTS[name]}`" if FACTS[name] else "not given"
    flag = name.replace("_", "-")
    assert f"another engine than before goes on: `{flag}` was {before} and is now `{value}`" in said
    assert [engine.get(name) for engine in engines] == [FACTS[name], value]
    assert [engine["from_record"] for engine in engines] == [0, 2]


def test_the_same_engine_is_listed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, capsys, FACTS, 2)
    assert written(tmp_path, capsys, FACTS, 3) == (None, "")
    engines, said = written(tmp_path, capsys, FACTS | {"device": "cuda:1", "prompt_tokens": 9}, 9)
    assert len(engines) == 1 and "another engine" not in said


def test_three_engines_are_listed_as_three(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for last, dtype in ((1, "a"), (4, "b")):
        written(tmp_path, capsys, FACTS | {"dtype": dtype}, last)
    engines, _ = written(tmp_path, capsys, FACTS | {"dtype": "a"}, 9)
    assert [(engine["dtype"], engine["from_record"]) for engine in engines] == [("a", 0), ("b", 1), ("a", 4)]


def test_a_run_that_goes_on_with_another_server(latxa: Latxa, tmp_path: Path) -> None:
    tiny.write_jsonl(tmp_path / "prompts.jsonl", [{"id": f"p{n}", "prompt": f"Question {n}?"} for n in range(40)])
    output = tmp_path / "out.jsonl"
    given = ("respond", tmp_path / "prompts.jsonl", "-m", MODEL, "-o", output, "--resume", "--batch-size", "2")

    async def ends(request: web.Request, body: Any) -> web.StreamResponse | None:
        return web.json_response({"message": "no"}, status=401) if body and len(first.bodies) > 20 else None

    with OpenAIServer(ends) as first:
        assert latxa(*given, "--base-url", first.url).returncode == 1
    with OpenAIServer(owner="vllm") as second:
        done = latxa(*given, "--base-url", second.url)
    said = done.stderr.decode()
    assert done.returncode == 0 and len(output.read_text().splitlines()) == 40
    assert f"another engine than before goes on: `base-url` was `{first.url}` and is now `{second.url}`" in said
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_text())
    assert [engine["base_url"] for engine in manifest["engines"]] == [first.url, second.url]
    assert manifest["engine"]["base_url"] == second.url and manifest["engines"][1]["from_record"] > 0
