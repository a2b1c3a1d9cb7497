"""A Slurm cluster of two nodes on this machine: a controller, and a slurmd for each node, all of this user's.

Nothing outside of its folder is touched: logs and state lie there, and `SLURM_CONF` names its settings.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun")
NODES = ("127.0.0.2", "127.0.0.3")  # addresses of this machine, so that a task finds the first node by its name
SETTINGS = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
ReturnToService=2
SlurmdTimeout=5
KillWait=5
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
"""
OF_NODE = "TEST_OF_NODE"  # in the environment of a slurmd and its children


def missing() -> str:
    """Return the first program of Slurm that is not installed, or nothing."""
    return next((program for program in PROGRAMS if path_of(program) is None), "")


def path_of(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


class Unable(Exception):  # noqa: N818
    """Slurm is installed, but its daemons do not run here; says why."""


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Start a cluster in `folder`, and end it after; its commands find it by `SLURM_CONF` in their environment.

    Raises Unable.
    """
    cluster = Cluster(folder)
    try:
        cluster.start("slurmctld", "slurmctld", "-D")
        for node in NODES:
            cluster.start_node(node)
        cluster.wait(
            lambda: (
                cluster.alive()
                and cluster.call("sinfo", "-h", "--Node", "-p", "cpu", "-o", "%T").split() == ["idle"] * 2
            )
        )
        yield cluster
    finally:
        cluster.call("scancel", "--user", getpass.getuser())
        for name in [*NODES, "slurmctld"]:
            cluster.kill(name)


class Cluster:
    """The daemons; `environment` is that in which commands reach them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
        host = socket.gethostname()
        for number in range(4):
            (folder / f"gpu{number}").touch()
        (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-3]\n")
        (folder / "state").mkdir()
        settings = SETTINGS.format(folder=folder, user=getpass.getuser(), host=host, port=free_port("127.0.0.1"))
        for node in NODES:
            settings += (
                f"NodeName={node} NodeAddr={node} NodeHostname={host} Port={free_port(node)} CPUs=64 Gres=gpu:4\n"
            )
        for partition in ("cpu", "gpu"):
            settings += f"PartitionName={partition} Nodes={','.join(NODES)} OverSubscribe=FORCE:4\n"
        (folder / "slurm.conf").write_text(settings)

    def start_node(self, node: str) -> None:
        (self.folder / f"spool-{node}").mkdir(exist_ok=True)
        self.start(node, "slurmd", "-D", "-N", node)

    def start(self, name: str, program: str, *words: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                [path_of(program) or program, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment | {OF_NODE: name},
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """Kill a daemon and, if it is that of a node, all that runs there, as when a machine loses its power."""
        if name in self.daemons:
            self.daemons.pop(name).kill()
        of_node = {f"{OF_NODE}={name}", f"SLURMD_NODENAME={name}"}
        conf = f"SLURM_CONF={self.environment['SLURM_CONF']}"
        for process in Path("/proc").glob("[0-9]*"):
            try:
                variables = (process / "environ").read_text(errors="replace").split("\0")
                if conf in variables and of_node & set(variables):
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:
                continue

    def alive(self) -> bool:
        for name, daemon in self.daemons.items():
            if daemon.poll() is not None:
                said = (self.folder / f"{name}.out").read_text(errors="replace").splitlines()
                raise Unable(f"{name} ended: {said[-1] if said else daemon.returncode}")
        return True

    def call(self, *words: str) -> str:
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)
        return done.stdout

    def jobs(self) -> dict[str, str]:
        """Return the state of all that is queued or runs, by number and task (`12_3`)."""
        while True:
            done = subprocess.run(
                ["squeue", "--array", "--noheader", "--format=%i %T"], env=self.environment, capture_output=True,
                text=True, check=False,
            )  # fmt: skip
            if done.returncode == 0:  # a controller that has much to do may not answer in time
                return dict(line.split() for line in done.stdout.splitlines())

    def wait(self, until: Callable[[], bool], seconds: float = 240) -> None:
        """Wait until something is so. What was queued again waits two seconds, and not two minutes as elsewhere.

        Without any, the end of the first run could be taken for that of the second one.
        """
        end, seen = time.monotonic() + seconds, dict[str, float]()
        while not until():
            assert time.monotonic() < end, self.call("squeue") + self.call("sinfo")
            for job, reason in (
                line.split(maxsplit=1) for line in self.call("squeue", "-h", "-o", "%i %r").splitlines()
            ):
                if reason == "BeginTime" and seen.setdefault(job, time.monotonic()) < time.monotonic() - 2:
                    self.call("scontrol", "update", f"jobid={job}", "starttime=now")
            time.sleep(0.2)

    def wait_for_all(self, seconds: float = 240) -> None:
        self.wait(lambda: not self.jobs(), seconds)


def free_port(address: str) -> int:
    with socket.socket() as listening:
        listening.bind((address, 0))
        return int(listening.getsockname()[1])
