"""Settings of training: file, flags, checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.training.config import TrainConfig, chat_losses, resolve, to_toml


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path):
    path = tmp_path / "train.toml"
    path.write_text('epochs = 3\nlearning_rate = 1e-3\nchat_loss = "all"\n')
    config = resolve(path, learning_rate=0.5, epochs=None)
    assert config == TrainConfig(epochs=3.0, learning_rate=0.5, chat_loss="all")
    assert isinstance(config.epochs, float)


def test_saved_settings_are_read_back(tmp_path):
    names = {'a "name" with\ta tab, \x7f and \u2028': "all"}
    config = TrainConfig(epochs=2.5, learning_rate=1e-5, dtype="bfloat16", seed=7, source_loss=names, freeze=["\\"])
    path = tmp_path / "train.toml"
    path.write_text(to_toml(config))
    assert resolve(path) == config


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("learning_rat = 1", "unknown setting `learning_rat`", "`learning_rate`"),
        ("epochs = ", "is not TOML", ""),
        ('seed = "1"', "`seed` must be of type int", ""),
        ("batch_size = 1.5", "`batch_size` must be of type int", ""),
        ("batch_size = true", "`batch_size` must be of type int", ""),
        ("batch_size = 0", "`batch_size` is `0`: it must be at least 1", ""),
        ("epochs = 0", "must be above 0", ""),
        ("learning_rate = nan", "must be above 0", ""),
        ("beta2 = 1.0", "must lie between 0 and 1", ""),
        ("warmup_ratio = 2", "must lie between 0 and 1", ""),
        ("seed = -1", "not negative", ""),
        ("weight_decay = nan", "not negative", ""),
        ("watchdog_minutes = inf", "not negative", ""),
        ("seed = 2147483648", "must be below", ""),
        ("sequence_length = 1", "at least 2", ""),
        ('chat_loss = "user"', "must be `assistant` or `all`", ""),
        ('[source_loss]\neu = "user"', "`source_loss.eu` is `user`: it must be `assistant` or `all`", ""),
        ("freeze = [1]", "`freeze` must be a list of texts", ""),
        ("zero_stage = 4", "must be 0, 1, 2 or 3", ""),
        ("zero_stage = -1", "must be 0, 1, 2 or 3", ""),
    ],
)
def test_a_bad_setting_is_one_line(tmp_path, content, message, hint):
    path = tmp_path / "train.toml"
    path.write_text(content)
    with pytest.raises(UsageError, match=message) as caught:
        resolve(path)
    assert hint in caught.value.hint


def test_a_missing_file(tmp_path):
    with pytest.raises(LatxaError, match="cannot be read"):
        resolve(tmp_path / "none.toml")


LEAST_ONE = ("sequences_per_step", "batch_size")
SHARES = ("warmup_ratio", "minimum_learning_rate_ratio", "beta1", "beta2")
NOT_NEGATIVE = (
    "weight_decay", "neftune_alpha", "checkpoint_every", "validate_every", "seed", "lora_rank", "lora_alpha",
    "watchdog_minutes",
)  # fmt: skip
POSITIVE = ("epochs", "learning_rate", "clip")


@pytest.mark.parametrize(
    ("names", "refused", "taken"),
    [
        (LEAST_ONE, (0, -1), (1,)),
        (SHARES, (-0.1, 1.1, float("nan")), (0.0, 0.5)),
        (NOT_NEGATIVE, (-1, float("nan"), float("inf")), (0, 3)),
        (POSITIVE, (0.0, -1.0, float("nan"), float("inf")), (1e-9, 7.0)),
    ],
)
def test_the_range_of_every_number(names, refused, taken):
    for name in names:
        for value in refused:
            with pytest.raises(UsageError, match=f"`{name}` is `"):
                TrainConfig(**{name: value})
        for value in taken:
            assert getattr(TrainConfig(**{name: value}), name) == value


def test_a_share_may_be_whole_but_not_that_of_a_moment():
    assert TrainConfig(warmup_ratio=1.0, minimum_learning_rate_ratio=1.0).warmup_ratio == 1.0
    for name in ("beta1", "beta2"):
        with pytest.raises(UsageError, match=f"`{name}` is `1.0`"):
            TrainConfig(**{name: 1.0})


def test_what_the_data_were_prepared_with_is_a_setting_and_cannot_be_another(tmp_path):
    prepared = {"sequence_length": 32, "source_loss": {"eu": "all"}}
    assert resolve(None, prepared) == TrainConfig(sequence_length=32, source_loss={"eu": "all"})
    assert resolve(None, prepared, sequence_length=32) == resolve(None, prepared)
    with pytest.raises(UsageError, match="`sequence_length` is `64`, and the data were prepared with `32`"):
        resolve(None, prepared, sequence_length=64)
    (tmp_path / "train.toml").write_text('[source_loss]\neu = "assistant"')
    with pytest.raises(UsageError, match="`source_loss` is "):
        resolve(tmp_path / "train.toml", prepared)


def test_the_overlay_of_deepspeed_lies_where_the_settings_lie(tmp_path, monkeypatch):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "train.toml").write_text('deepspeed = "over.json"')
    monkeypatch.chdir(tmp_path)
    assert resolve(Path("recipes/train.toml")).deepspeed == str(tmp_path / "recipes" / "over.json")


@pytest.mark.parametrize(
    ("values", "default", "by_source"),
    [
        (None, None, None),
        ([], None, None),
        (["all"], "all", None),
        (["eu=all", "a=b=assistant", "assistant"], "assistant", {"eu": "all", "a=b": "assistant"}),
    ],
)
def test_losses_of_all_and_of_single_sources(values, default, by_source):
    assert chat_losses(values) == {"chat_loss": default, "source_loss": by_source}


@pytest.mark.parametrize("value", ["", "eu", "eu=", "=all", "eu=none", "all=eu"])
def test_what_is_no_loss(value):
    with pytest.raises(UsageError, match=f"`--chat-loss {value}`"):
        chat_losses([value])
