"""Fixtures that every room's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real text for tests; it is not part of the repository."""
    return _present(SHARED / "data")


@pytest.fixture(scope="session")
def shared_reference() -> Path:
    """The folder of published numbers to reproduce; it is not part of the repository."""
    return _present(SHARED / "reference")


def _present(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"needs `{folder.parent.name}/{folder.name}` beside the checkout")
    return folder
