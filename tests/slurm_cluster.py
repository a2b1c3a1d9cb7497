"""A Slurm cluster of several nodes on this machine: a controller, and a slurmd for each node, all of this user's.

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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun")
# Addresses of this machine, which name its nodes too: so a task finds the first node by its name.
NODES = ("127.0.0.2", "127.0.0.3")
SETTINGS = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
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
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=100000
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmdTimeout=10
KillWait=5
MinJobAge=300
JobRequeue=1
SlurmdParameters=config_overrides
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
"""


def missing() -> str:
    """Return the program of Slurm's that is not installed, or nothing."""
    return next((program for program in PROGRAMS if find(program) is None), "")


def find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


class Cluster:
    """The running cluster; `kill_node` ends a slurmd and all that it runs, as when a machine loses its power."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        nodes = "".join(
            f"NodeName={node} NodeAddr={node} NodeHostname={socket.gethostname()} Port={free_port(node)} CPUs=64 Gres=gpu:4 "
            "RealMemory=4000 State=UNKNOWN\n"
            for node in NODES
        )
        partitions = "".join(f"PartitionName={name} Nodes={','.join(NODES)} Default={'YES' if name == 'cpu' else 'NO'} "
                             "OverSubscribe=FORCE:4 State=UP\n" for name in ("cpu", "gpu"))
        self.conf = folder / "slurm.conf"
        text = SETTINGS.format(folder=folder, user=getpass.getuser(), port=free_port("127.0.0.1"))
        self.conf.write_text(text + nodes + partitions)
        for number in range(4):
            (folder / f"gpu{number}").touch()
        (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-3]\n")
        (folder / "state").mkdir()

    def start(self) -> None:
        self._daemon("slurmctld", "slurmctld", "-D")
        for node in NODES:
            self.start_node(node)
        wait_for(lambda: self.call("sinfo", "--noheader", "--format=%T").split() == ["idle"] * 2, self.folder)

    def start_node(self, node: str) -> None:
        (self.folder / f"spool-{node}").mkdir(exist_ok=True)
        self._daemon(node, "slurmd", "-D", "-N", node)

    def _daemon(self, name: str, program: str, *words: str) -> None:
        log = (self.folder / f"{name}.out").open("ab")
        self.daemons[name] = subprocess.Popen(
            [find(program) or program, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=os.environ | {"SLURM_CONF": str(self.conf)},
        )  # fmt: skip

    def call(self, *words: str) -> str:
        done = subprocess.run(
            words, env=os.environ | {"SLURM_CONF": str(self.conf)}, capture_output=True, text=True, check=False
        )
        return done.stdout
