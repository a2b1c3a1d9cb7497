"""Asking the hub, without one."""

from __future__ import annotations

import pytest

from latxa_cli import hub


@pytest.mark.parametrize("endpoint", ["foo", "http://a b"])
def test_an_endpoint_that_is_no_address_is_out_of_reach(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert hub.can_be_reached.__wrapped__() is False
