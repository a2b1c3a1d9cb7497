"""What looks like a secret is hidden in what is written and shown, and nothing else is."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import Latxa

from latxa_cli.stream.outputs import Destination
from latxa_cli.stream.run import Run
from latxa_cli.stream.secrets import values_without_secrets, without_secrets

SECRET = "w8Kq-Zr5T_c3Vn1x"


@pytest.mark.parametrize(
    "shape",
    [
        "hf_token={}", "api_key={}", "api-key={}", "apikey={}", "OPENAI_API_KEY={}", "--engine-option=hf_token={}",
        "client_secret={}", "db.password={}", "AWS_SECRET_ACCESS_KEY={}", "http://user:{}@host:8000/v1",
        "http://{}@host/v1", "https://host/file?token={}&part=1", "https://host/x?X-Amz-Signature={}",
        '{{"hf_token": "{}", "seed": 3}}', "{{'api_key': '{}'}}", "Authorization: Bearer {}", "authorization: {}",
        "bearer {}", "`--engine-option hf_token={}`: not what vLLM takes", "it was (password={}, retries=5)",
    ],
)  # fmt: skip
def test_a_secret_is_known_by_its_name_or_place(shape: str) -> None:
    given = shape.format(SECRET)
    shown = without_secrets(given)
    assert SECRET not in shown and "***" in shown
    assert shown.partition("***")[0] == given.partition(SECRET)[0].removesuffix("user:")


@pytest.mark.parametrize(
    "text",
    [
        "hf_" + "aB3" * 12, "sk-" + "aB3" * 8, "sk-proj-" + "aB3_" * 8, "ghp_" + "aB3" * 12, "glpat-" + "aB3" * 8,
        "AKIA" + "AB34" * 4, "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeK",
    ],
)  # fmt: skip
def test_a_secret_is_known_by_its_form(text: str) -> None:
    assert without_secrets(f"`--model {text}` is none") == "`--model ***` is none"


@pytest.mark.parametrize(
    "text",
    [
        "max_num_batched_tokens=256", "max_tokens=9", "tokenizer=meta/llama", "eos_token=</s>", "stop_token_ids=[1]",
        "user=ane", "sort_key=name", "key=3", "monkey=3", "tokens: 5", "a special token: `<s>`", "sk-short", "task-sk-",
        "hf:owner/name", "http://host:8000/v1", "/home/a/hf_models/x", "price=0.15/0.60", "secretary=Ane",
        "the token `=` of the text", "models/token=none/x",
    ],
)  # fmt: skip
def test_what_only_looks_like_one_stays(text: str) -> None:
    assert without_secrets(text) == (text if "token=none" not in text else "models/token=***")


def test_a_word_of_the_command_line_may_hold_anything_behind_its_name() -> None:
    assert without_secrets('hf_token=a b,"c') == "hf_token=***"
    assert without_secrets("say: the hf_token=a b c") == "say: the hf_token=*** b c"


@pytest.mark.parametrize("name", ["PWD", "OLDPWD"])
def test_the_folder_of_a_shell_is_no_password(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "/home/me/harbour")
    assert without_secrets("/home/me/harbour/corpus.jsonl") == "/home/me/harbour/corpus.jsonl"
    assert without_secrets(f"{name.lower()[-3:]}=harbour") == "pwd=***"


def test_what_the_environment_holds_under_such_a_name_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    monkeypatch.setenv("SHORT_TOKEN", "abc")
    monkeypatch.setenv("HARMLESS", "harbour-lamps")
    assert without_secrets(f"no {SECRET}, abc, harbour-lamps") == "no ***, abc, harbour-lamps"


def test_settings_and_facts_are_looked_through() -> None:
    path = Path("hf_token=x")
    given: dict[str, Any] = {
        "hf_token": SECRET, "engine_option": [f"hf_token={SECRET}", "dtype=float32"], "seed": 3, "path": path,
        "nested": {"password": SECRET, "pair": ("a", f"api_key={SECRET}")}, "max_tokens": 5, "token": 7,
    }  # fmt: skip
    assert values_without_secrets(given) == {
        "hf_token": "***", "engine_option": ["hf_token=***", "dtype=float32"], "seed": 3, "path": path,
        "nested": {"password": "***", "pair": ("a", "api_key=***")}, "max_tokens": 5, "token": 7,
    }  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        ("--engine-option", "hf_token={}"),
        ("--engine", "openai", "--base-url", "http://me:{}@127.0.0.1:9/v1", "--engine-option", "api_key={}"),
        ("--base-url", "http://me:{}@127.0.0.1:9/v1"),
        ("--base-url", "http://127.0.0.1:9/v1?key={}"),
        ("--engine-option", "{}"),
        ("--api-key={}",),
        ("--temperature", "hf_token={}"),
        ("-m", "hub/{}2"),
    ],
)
def test_no_error_tells_a_secret(more: tuple[str, ...], latxa: Latxa, tmp_path: Path) -> None:
    prompts, output = tmp_path / "prompts.jsonl", tmp_path / "out.jsonl"
    prompts.write_text('{"id": "a", "prompt": "Why?"}\n')
    words = [word.format(SECRET) for word in more]
    environment = os.environ | {"HF_TOKEN": SECRET + "2"}
    done = latxa("respond", str(prompts), "-m", "none", *words, "-o", str(output), "-v", env=environment)
    assert done.returncode in (1, 2) and done.stderr and SECRET.encode() not in done.stderr + done.stdout


def test_no_manifest_and_no_checkpoint_holds_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "out.jsonl"
    monkeypatch.setattr(sys, "argv", ["latxa", "respond", "--engine-option", f"hf_token={SECRET}"])
    settings = {"hf_token": SECRET, "engine_option": [f"hf_token={SECRET}"], "note": "x"}
    with Run("respond", Destination(output, None, None), settings) as run:
        run.note(engine={"model": "m", "api_key": SECRET, "url": f"http://me:{SECRET}@host"})
        run.write({"id": name} for name in run.items(["a"]))
        assert SECRET not in "".join(path.read_text() for path in tmp_path.iterdir())
    assert SECRET not in "".join(path.read_text() for path in tmp_path.iterdir())
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_text())
    assert manifest["argv"][-1] == "hf_token=***" and manifest["engine"]["url"] == "http://***@host"
    assert manifest["settings"] == {"hf_token": "***", "engine_option": ["hf_token=***"], "note": "x"}
    again = Run("respond", Destination(output, None, None, resume=True), settings)
    assert again.is_complete(), "what is hidden is the same as before"
