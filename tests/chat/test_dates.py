"""Dates in chat templates: one a run, told in the manifest, kept by `--resume`, set by `--date`."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import tiny
from tiny import Latxa

from latxa_cli.chat.loss_mask import encode_chat
from latxa_cli.chat.pre_query import pre_query
from latxa_cli.chat.rendering import asks_for_date, render, set_date
from latxa_cli.generation.engine import EngineOptions, open_engine
from latxa_cli.stages import day_of
from latxa_cli.stream.outputs import Destination
from latxa_cli.stream.run import Run
from latxa_cli.tokenizer import load_tokenizer

DAY = date(2031, 2, 28)
HEAD = "{% if strftime_now is defined %}Today: {{ strftime_now('%d %B %Y') }}.\n{% endif %}"
CHAT = [{"role": "user", "content": "old storm"}, {"role": "assistant", "content": "lamps"}]


@pytest.fixture(scope="module")
def dated(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose template writes the date."""
    folder = tmp_path_factory.mktemp("dated") / "model"
    shutil.copytree(tiny_models / "trained", folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    template = load_tokenizer(str(folder)).chat_template
    config["chat_template"] = HEAD + template
    path.write_text(json.dumps(config))
    (folder / "chat_template.jinja").write_text(HEAD + template)
    return folder


def test_a_template_is_told_the_day(dated: Path) -> None:
    tokenizer = load_tokenizer(str(dated))
    assert asks_for_date(tokenizer) and render(tokenizer, CHAT).startswith(f"Today: {date.today():%d %B %Y}.")
    set_date(tokenizer, DAY)
    assert render(tokenizer, CHAT).startswith("Today: 28 February 2031.\n")
    assert pre_query(tokenizer).prefix.startswith("Today: 28 February 2031.\n")
    assert tokenizer.decode(encode_chat(tokenizer, CHAT).ids).startswith("Today: 28 February 2031.\n")


def test_a_template_that_asks_for_none_is_told_nothing(tiny_models: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_models / "trained"))
    before = render(tokenizer, CHAT)
    set_date(tokenizer, DAY)
    assert render(tokenizer, CHAT) == before and not asks_for_date(tokenizer)


def test_an_engine_writes_the_day_that_it_is_told(dated: Path) -> None:
    engine: Any = open_engine(str(dated), EngineOptions(device="cpu").on(DAY))
    assert pre_query(engine.tokenizer).prefix.startswith("Today: 28 February 2031.\n")


# --- the day of a run ------------------------------------------------------------------------------------------------


class Tomorrow(date):
    @classmethod
    def today(cls) -> Tomorrow:
        return cls(2032, 1, 1)


def test_an_interrupted_run_goes_on_with_its_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from latxa_cli.stream import run as room

    def outcomes(run: Run, last: int) -> Any:
        for number in run.items(range(5)):
            if number == last:
                raise KeyboardInterrupt
            yield {"id": str(number)}

    destination = Destination(tmp_path / "out.jsonl", resume=True)
    today = date.today()
    with pytest.raises(KeyboardInterrupt), Run("sample", destination, {"date": None}) as run:
        assert run.day(None) == today
        run.write(outcomes(run, 3))
    monkeypatch.setattr(room, "date", Tomorrow)
    with Run("sample", destination, {"date": None}) as run:
        assert run.day(None) == today
        run.write(outcomes(run, 9))
    assert json.loads((tmp_path / "out.jsonl.manifest.json").read_text())["date"] == today.isoformat()
    assert Run("sample", Destination(tmp_path / "new.jsonl"), {}).day(None) == Tomorrow(2032, 1, 1)
    assert Run("sample", Destination(tmp_path / "new.jsonl"), {}).day(DAY) == DAY


def test_work_in_a_folder_goes_on_with_its_day(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"date": "2031-02-28"}')

    def run(*, resume: bool, **settings: Any) -> Run:
        return Run("prepare", Destination(tmp_path / "out", resume=resume), settings, makes="directory")

    assert day_of(run(resume=True), tmp_path) == DAY
    assert day_of(run(resume=False), tmp_path) == date.today()
    assert day_of(run(resume=True, date=date(2030, 1, 1)), tmp_path) == date(2030, 1, 1)


# --- verbs -----------------------------------------------------------------------------------------------------------


def test_sample_draws_on_the_day_that_it_is_told(dated: Path, latxa: Latxa, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    skipped = [word for name in ("short", "beginning", "near", "duplicate") for word in ("--skip", name)]
    given = ("sample", "-n", "8", "-m", dated, "--max-tokens", "60", *skipped, "--date", "2031-02-28", "-o", output)
    done = latxa(*given)
    assert done.returncode == 0, done.stderr.decode()
    said = json.loads((tmp_path / "out.jsonl.manifest.json").read_text())
    assert said["date"] == "2031-02-28"
    assert said["tasks"]["general"]["pre_query"].startswith("Today: 28 February 2031.")


def test_respond_and_its_manifest(dated: Path, latxa: Latxa, tmp_path: Path) -> None:
    tiny.write_jsonl(tmp_path / "prompts.jsonl", [{"id": str(n), "prompt": f"old storm {n}"} for n in range(3)])
    for day in ("2031-02-28", "2031-03-01"):
        output = tmp_path / f"{day}.jsonl"
        given = (tmp_path / "prompts.jsonl", "-m", dated, "--max-tokens", "20", "--date", day, "-o", output)
        done = latxa("respond", *given)
        assert done.returncode == 0, done.stderr.decode()
        manifest = json.loads(output.with_name(output.name + ".manifest.json").read_text())
        assert manifest["date"] == day and manifest["settings"]["date"] == day
    done = latxa("respond", tmp_path / "prompts.jsonl", "-m", dated, "--date", "yesterday")
    assert done.returncode == 2 and "is not a day such as" in done.stderr.decode()


def test_prepare_writes_the_day_into_the_rows(dated: Path, latxa: Latxa, tmp_path: Path) -> None:
    tiny.write_jsonl(tmp_path / "chats.jsonl", [{"id": "a", "messages": CHAT}])
    rows = {}
    for day in ("2031-02-28", "2031-03-01"):
        given = ("prepare", tmp_path / "chats.jsonl", "--model", dated, "--sequence-length", "128", "--show", "1")
        done = latxa(*given, "--date", day, "-o", tmp_path / day)
        assert done.returncode == 0, done.stderr.decode()
        rows[day] = done.stderr.decode()
        assert json.loads((tmp_path / day / "manifest.json").read_text())["date"] == day
        assert json.loads((tmp_path / day / "prepared.json").read_text())["date"] == day
        assert f"the chat template writes the day into conversations: {day}\n" in rows[day]
    assert "Today: 28 February 2031." in rows["2031-02-28"] and "Today: 01 March 2031." in rows["2031-03-01"]


def test_the_harness_is_told_the_day(dated: Path) -> None:
    from latxa_cli.evaluation.model import load

    harness = load(str(dated), device="cpu", batch_size=1, day=DAY)
    assert harness.apply_chat_template(CHAT[:1]).startswith("Today: 28 February 2031.\n")


def test_a_date_without_a_template_is_told(latxa: Latxa, tmp_path: Path) -> None:
    done = latxa("eval", "m", "--task", "t", "--date", "2031-02-28", "--no-chat")
    assert done.returncode == 2 and "`--date` and `--no-chat` do not go together" in done.stderr.decode()
    done = latxa("reverse", "d.jsonl", "-m", "m", "--from", "Basque", "--shots", "s.jsonl", "--date", "2031-02-28")
    assert done.returncode == 2 and "`--date` and `--shots` do not go together" in done.stderr.decode()
