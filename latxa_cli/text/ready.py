"""Importing this module loads the language model of py3langid, which processes forked from this one then share."""

from __future__ import annotations

from contextlib import suppress

from latxa_cli.stream.errors import LatxaError
from latxa_cli.text.language import identifier

with suppress(LatxaError):  # the process that needs the model will report it
    identifier()
