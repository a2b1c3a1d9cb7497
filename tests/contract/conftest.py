"""Fixtures of the contract tests."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from contract_table import CASES, Case
from workspace import Workspace, together


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory, latxa: Any) -> Workspace:
    """A workspace for the verbs that load no model."""
    return Workspace(tmp_path_factory.mktemp("light"), latxa, None)


@pytest.fixture(scope="session")
def heavy(tmp_path_factory: pytest.TempPathFactory, latxa: Any, tiny_models: Path) -> Workspace:
    """A workspace for the verbs that load a model."""
    workspace = Workspace(tmp_path_factory.mktemp("heavy"), latxa, tiny_models)
    names = [name for name, case in CASES.items() if case.model]
    together(*(partial(workspace.finished, name) for name in names))  # two at a time: most of each is loading torch
    return workspace


@pytest.fixture
def space(request: pytest.FixtureRequest, name: str) -> Workspace:
    """The workspace for the case `name`."""
    workspace: Workspace = request.getfixturevalue("heavy" if CASES[name].model else "light")
    return workspace


@pytest.fixture
def case(name: str) -> Case:
    return CASES[name]
