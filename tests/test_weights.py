"""Safetensors files written in blocks and in shards, read by the library itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from latxa_cli.weights import INDEX, SINGLE, Entry, ShardWriter, Weights

NAMES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
SHAPES = st.lists(st.integers(0, 5), max_size=3).map(tuple)
PLANS = st.lists(st.tuples(st.sampled_from(sorted(NAMES)), SHAPES), max_size=8)


def write(directory: Path, plan: list[tuple[str, tuple[int, ...]]], most: int, block: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    planned = [Entry(f"t{number}", *kind) for number, kind in enumerate(plan)]
    tensors = {e.name: torch.randn(e.shape, generator=generator).to(NAMES[e.dtype]) for e in planned}
    with ShardWriter(directory, planned, shard_bytes=most) as writer:
        for name, tensor in tensors.items():
            writer.write(name, tensor.reshape(-1).split(block))
        writer.finish()
    return tensors


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=PLANS, most=st.integers(1, 2000), block=st.integers(1, 50))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, plan, most, block):
    directory = tmp_path_factory.mktemp("weights")
    tensors = write(directory, plan, most, block)
    files = sorted(directory.glob("*.safetensors"))
    read = {name: tensor for file in files for name, tensor in load_file(file).items()}
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensors[name]) and read[name].dtype == tensors[name].dtype for name in tensors)
    ours = Weights(directory, "model")
    assert {e.name: (e.dtype, e.shape) for e in ours.entries.values()} == {f"t{n}": kind for n, kind in enumerate(plan)}
    assert all(torch.equal(ours.tensor(name), tensors[name]) for name in tensors)
    for file in files:
        header = int.from_bytes(file.read_bytes()[:8], "little")
        held = file.stat().st_size - 8 - header
        assert header % 8 == 0
        assert held <= most or sum(entry.bytes > 0 for entry in map(ours.entries.get, load_file(file))) == 1
    if len(files) == 1:
        assert files[0].name == SINGLE and not (directory / INDEX).exists()
    else:
        index = json.loads((directory / INDEX).read_text())
        assert index["metadata"]["total_size"] == sum(entry.bytes for entry in ours.entries.values())
        assert index["weight_map"].keys() == tensors.keys()


def test_tensors_are_mapped_and_not_read(tmp_path):
    write(tmp_path, [("F32", (1000, 25_000))], 10**9, 10**6)

    def anonymous() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

    before = anonymous()
    tensor = Weights(tmp_path, "model").tensor("t0")
    assert float(tensor[::100].sum()) != 0
    assert anonymous() - before < 20_000  # of 100,000 kB


@pytest.mark.parametrize(
    ("names", "block"), [(["b", "a"], 4), (["a"], 4), (["a", "b"], 3)], ids=["order", "one less", "numbers less"]
)
@pytest.mark.parametrize("shard_bytes", [16, 1000])
def test_what_was_not_planned_is_a_bug_and_leaves_nothing(tmp_path, names, block, shard_bytes):
    planned = [Entry("a", "F32", (4,)), Entry("b", "F32", (4,))]
    with pytest.raises(AssertionError), ShardWriter(tmp_path, planned, shard_bytes=shard_bytes) as writer:
        for name in names:
            writer.write(name, [torch.zeros(block)])
        writer.finish()
    assert list(tmp_path.iterdir()) == []
