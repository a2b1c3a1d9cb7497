"""A job of a study, as recipes/study.sh prints it: a line of four fields, with a tab between.

stage    such as `train`
made     the file or folder that the job makes
needs    what it reads of other jobs: what they make, with a space between
command  a shell command line; what it names of other jobs is needed too
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

LOGS = Path("logs")


@dataclass(frozen=True)
class Job:
    """One job; the fields are described above."""

    stage: str
    made: str
    needs: tuple[str, ...]
    command: str

    @property
    def log(self) -> Path:
        return LOGS / f"{self.made.replace('/', '.')}.log"

    def done(self) -> bool:
        """Whether it is complete: the manifest is there too, where latxa makes one."""
        made = Path(self.made)
        manifest = made / "manifest.json" if made.is_dir() else Path(f"{made}.manifest.json")
        return made.exists() and (manifest.exists() or "latxa" not in words(self.command))


def read_jobs(lines: Iterable[str]) -> list[Job]:
    """Return the jobs of these lines; raises ValueError for two that make the same, and for needs that none makes."""
    jobs: dict[str, Job] = {}
    for line in lines:
        stage, made, needs, command = line.rstrip("\n").split("\t")
        named = [word for word in words(command) if word in jobs]
        job = Job(stage, made, tuple(dict.fromkeys([*needs.split(), *named])), command.strip())
        missing = [need for need in job.needs if need not in jobs]
        if missing or made in jobs:
            raise ValueError(
                f"{made}: " + (f"needs {missing[0]}, which no job before it makes" if missing else "twice")
            )
        jobs[made] = job
    return list(jobs.values())


def words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a script of shell may have quotes that are none for shlex
        return command.split()


def as_text(jobs: Iterable[Job]) -> str:
    """Return the lines that `read_jobs` reads."""
    return "".join(f"{job.stage}\t{job.made}\t{' '.join(job.needs)}\t{job.command}\n" for job in jobs)


def leading_to(jobs: Sequence[Job], wanted: Iterable[str]) -> list[Job]:
    """Return the jobs that make what is wanted, and all that they need, in their order."""
    by_made, chosen, open_ = {job.made: job for job in jobs}, set[str](), list(wanted)
    while open_:
        made = open_.pop()
        if made not in chosen:
            chosen.add(made)
            open_ += by_made[made].needs
    return [job for job in jobs if job.made in chosen]
