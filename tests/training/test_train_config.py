"""Settings of training: file, flags, checks."""

from __future__ import annotations

import pytest

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.training.config import TrainConfig, resolve, to_toml


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
