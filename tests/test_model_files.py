"""The system's refusal to write, told in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors import SafetensorError

from latxa_cli.model import writing
from latxa_cli.stream.errors import LatxaError


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        Exception("No space left on device (os error 28)"),  # tokenizers
    ],
)
def test_a_full_disk_whichever_library_finds_it(error):
    with pytest.raises(LatxaError) as caught, writing(Path("out")):
        raise error
    assert caught.value.message == "out: cannot be written (No space left on device)"
    assert caught.value.hint == "free some space, then `--resume`"


@pytest.mark.parametrize("error", [Exception("no number"), ValueError("(os error 28)"), LatxaError("the loss")])
def test_other_errors_pass(error):
    with pytest.raises(type(error)) as caught, writing(Path("out")):
        raise error
    assert caught.value is error
