"""A device or a pipe is never replaced by a file of its name (`-o /dev/null` by root would end the device)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.outputs import Destination
from latxa_cli.stream.run import Run


@pytest.mark.parametrize("flag", ["output", "rejects", "manifest"])
def test_a_pipe_is_refused_before_any_work(flag: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="not a file"):
        Run("pass", Destination(**{flag: pipe}), {})
    assert list(tmp_path.iterdir()) == [pipe]
    assert pipe.is_fifo()
