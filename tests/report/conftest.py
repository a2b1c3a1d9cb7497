"""What tests of figures share."""

import pytest


@pytest.fixture
def drawing():
    """Skips where matplotlib is missing: it comes with the extra `plots`."""
    return pytest.importorskip("matplotlib", reason="needs matplotlib (the extra `plots`)")


@pytest.fixture
def signatures():
    """The first bytes of a figure in each format."""
    return {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
