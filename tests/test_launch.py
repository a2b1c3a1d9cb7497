"""Which process of how many this is: what torchrun, deepspeed and SLURM say."""

from __future__ import annotations

import os

import pytest

from latxa_cli.launch import FIRST_PORT, PORTS, Launch, alike, announce, find, first_node
from latxa_cli.stream.errors import LatxaError, UsageError

SLURM = {  # of task 5 of 8 on two nodes
    "SLURM_JOB_ID": "4021", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "8", "SLURM_PROCID": "5", "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "gpu[07,12]", "SLURM_STEP_TASKS_PER_NODE": "4(x2)", "SLURM_JOB_NODELIST": "gpu[03-12]",
}  # fmt: skip


def test_nobody_says_anything():
    assert find({}) == Launch(rank=0, world=1, local_rank=0, local_world=1)


def test_torchrun():
    given = {
        "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "gpu07",
        "MASTER_PORT": "29500",
    }  # fmt: skip
    assert find(given) == Launch(5, 8, 1, 4, "gpu07", 29500)
    assert find(SLURM | given) == Launch(5, 8, 1, 4, "gpu07", 29500), "torchrun in a job of SLURM"


def test_deepspeed():
    given = {
        "RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29500", "CROSS_RANK": "0", "CROSS_SIZE": "1",
    }  # fmt: skip
    assert find(given) == Launch(1, 2, 1, 2, "127.0.0.1", 29500)


@pytest.mark.parametrize("missing", ["MASTER_ADDR", "MASTER_PORT"])
def test_half_of_what_is_needed(missing):
    given = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    del given[missing]
    with pytest.raises(UsageError, match=f"`WORLD_SIZE` is 2 and `{missing}` is not set"):
        find(given)
    assert find(given | {"RANK": "0", "WORLD_SIZE": "1"}).world == 1


def test_slurm():
    found = find(SLURM)
    assert (found.rank, found.world, found.local_rank, found.local_world) == (5, 8, 1, 4)
    assert found.address == "gpu07" and FIRST_PORT <= found.port < FIRST_PORT + PORTS
    assert find(SLURM | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0"}).port == found.port
    assert find(SLURM | {"SLURM_STEP_ID": "1"}).port != found.port, "two steps of one job at once"
    chosen = find(SLURM | {"MASTER_ADDR": "10.0.0.7", "MASTER_PORT": "1234"})
    assert (chosen.address, chosen.port) == ("10.0.0.7", 1234)


def test_slurm_with_one_task_or_outside_a_step():
    assert find(SLURM | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}) == Launch()
    batch_script = {name: value for name, value in SLURM.items() if name != "SLURM_STEP_ID"}
    assert find(batch_script) == Launch()


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu07", "gpu07"),
        ("gpu07,gpu09", "gpu07"),
        ("gpu[03-07,12],login1", "gpu03"),
        ("gpu[12]", "gpu12"),
        ("as01r1b[02,05-07]", "as01r1b02"),
        ("rack1-gpu[003-007]-ib", "rack1-gpu003-ib"),
        ("login1,gpu[03-07]", "login1"),
        ("lrdn0[101-103],lrdn2001", "lrdn0101"),
        ("rack[1-2]gpu[03-07]", "rack1gpu03"),
        ("", ""),
    ],
)
def test_the_first_node(nodes, first):
    assert first_node(nodes) == first


def test_what_is_announced_is_what_is_found(monkeypatch):
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    for name in names:
        monkeypatch.setenv(name, "")  # so that what is set goes again
        monkeypatch.delenv(name)
    monkeypatch.setenv("MASTER_PORT", "1234")
    announce(find(SLURM))
    assert os.environ["MASTER_PORT"] == "1234", "what is set stays"
    assert find() == Launch(5, 8, 1, 4, "gpu07", 1234)


@pytest.mark.parametrize(("local_rank", "kind"), [(0, UsageError), (1, SystemExit)])
def test_the_first_process_of_a_machine_tells_what_all_meet(local_rank, kind):
    with pytest.raises(kind) as caught, alike(Launch(rank=4, world=8, local_rank=local_rank)):
        raise UsageError("wrong")
    assert (caught.value.exit_code if kind is UsageError else caught.value.code) == 2
    with pytest.raises(LatxaError if not local_rank else SystemExit), alike(Launch(local_rank=local_rank)):
        raise LatxaError("failed")
