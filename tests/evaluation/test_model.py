"""Models: their names in records, and one line for a directory that is not a model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from latxa_cli import hub
from latxa_cli.evaluation.model import display_names, load
from latxa_cli.model import check
from latxa_cli.stream.errors import LatxaError, UsageError


def test_names_are_the_last_part_of_the_path_unless_two_are_alike() -> None:
    assert display_names(["a/base", "a/tuned"]) == {"a/base": "base", "a/tuned": "tuned"}
    assert display_names(["a/base", "b/base", "c/x"]) == {"a/base": "a/base", "b/base": "b/base", "c/x": "x"}
    with pytest.raises(UsageError, match="given twice"):
        display_names(["a", "a"])


def without(name: str) -> Callable[[Path], None]:
    return lambda directory: (directory / name).unlink()


def cut_weights(directory: Path) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def no_tokenizer(directory: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (directory / name).unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without("config.json"), "has no `config.json`"),
        (no_tokenizer, "has no tokenizer"),
        (without("model.safetensors"), "weights cannot be loaded"),
        (cut_weights, "weights cannot be loaded"),
        (lambda directory: (directory / "config.json").write_text("{"), "cannot be loaded"),
        (lambda directory: (directory / "tokenizer.json").write_text("{}"), "tokenizer cannot be loaded"),
    ],
)
def test_damaged_directories(model: Path, tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    directory = tmp_path / "damaged"
    shutil.copytree(model, directory)
    damage(directory)
    with pytest.raises(LatxaError, match=message) as caught:
        check(str(directory))
        load(str(directory), device="cpu", batch_size=1)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", ["nobody/nothing", "nothing", "./nothing", "/no/such/model", "no/such/model"])
def test_a_model_that_is_nowhere(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "can_be_reached", lambda: False)
    with pytest.raises(LatxaError, match=r"no (model )?directory"):
        check(name)


def test_the_hub_is_out_of_reach_where_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub.can_be_reached.cache_clear()
    assert not hub.can_be_reached()
    hub.can_be_reached.cache_clear()
