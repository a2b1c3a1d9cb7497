"""Every kernel gives what its plain twin gives."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from native_inputs import CASES
from twins import MODULES, kernels, outcome, plain

NAMES = [f"{module}.{name}" for module in MODULES for name in kernels(module)]


def test_all_kernels_have_a_case() -> None:
    assert sorted(CASES) == sorted(NAMES)
    assert len(NAMES) > 40


@pytest.mark.parametrize("module", MODULES)
def test_a_twin_has_the_parameters_of_its_kernel(module: str) -> None:
    for name, kernel in kernels(module).items():
        twin = getattr(plain(module), name)
        if hasattr(kernel, "py_func"):
            assert list(inspect.signature(twin).parameters) == list(inspect.signature(kernel.py_func).parameters)


@pytest.mark.parametrize("name", NAMES)
def test_a_kernel_equals_its_twin(name: str) -> None:
    module, _, function = name.partition(".")
    case, twin = CASES[name], getattr(plain(module), function)
    kernel = case.kernel or kernels(module)[function]

    @settings(max_examples=100, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        arguments = data.draw(case.arguments)
        (ours, our_number), (theirs, their_number) = outcome(kernel, case, arguments), outcome(twin, case, arguments)
        assert ours == theirs
        assert our_number == pytest.approx(their_number, rel=1e-6)

    holds()
