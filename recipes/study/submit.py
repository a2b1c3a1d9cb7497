"""Submit what is missing of a study to Slurm: an array of jobs for each stage, and what each array waits for.

    recipes/study.sh --size 8b --submit              ask `squeue` what is queued already, then call `sbatch`
    recipes/study.sh --size 8b --submit --dry-run    print the lines

The jobs of a stage are one array, or a few if they wait for different ones. The plan is written to
`logs/plan-HASH.tsv`, where a task finds its job, so that no later edit of a recipe changes what is queued. Arrays are
named STAGE-HASH and work in the folder of the study: so `squeue` tells which jobs are queued or run. Those are waited
for, and not submitted again.

A task's number comes from the last part of what it makes: `models/exp_2_111` and `responses/exp_2_111.jsonl` have the
same one. A task that needs the one of its own number starts when that is done (`aftercorr`), and need not wait for the
rest of the array. Standard library only.
"""

from __future__ import annotations

import fcntl
import hashlib
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

from job import LOGS, Job, as_text, read_jobs

JOBS = Path(__file__).with_name("jobs.py")
ENVELOPES = Path(__file__).parents[1] / "slurm"
ENVELOPE = "cpu"  # of stages for which a size states none
FETCHED = "fetch"  # the stage that needs the internet, which compute nodes do not see


@dataclass
class Array:
    """Jobs of one stage, and the arrays that they wait for.

    `twins`: those whose task of the same number each task waits for; `others`: those that must be done as a whole.
    Arrays to be submitted have names, such as `train_3`; those that Slurm has are its numbers, `12_4` is a task.
    """

    name: str
    stage: str
    twins: frozenset[str]
    others: set[str] = field(default_factory=set)
    jobs: list[Job] = field(default_factory=list)

    @property
    def waits(self) -> set[str]:
        return self.others | self.twins

    def dependency(self, ids: Mapping[str, str]) -> str:
        """Return what sbatch is told; `ids` has Slurm's numbers of the arrays with a name."""
        kinds = (("aftercorr", self.twins), ("afterok", self.others - self.twins))
        return ",".join(f"{kind}:{ids.get(wait, wait)}" for kind, waits in kinds for wait in sorted(waits))


class Submission:
    """How to submit the `chosen` ones of all jobs.

    `options`: by stage, the name of an envelope in recipes/slurm and flags of sbatch, as a size states them; `facts`:
    those of a size (see plan.py), of which `at_once:STAGE=N` keeps an array to N tasks at the same time.
    """

    def __init__(
        self, jobs: Sequence[Job], chosen: Sequence[Job], options: Mapping[str, str], facts: Mapping[str, float]
    ) -> None:
        self.jobs, self.chosen, self.options, self.facts = jobs, chosen, options, facts
        self.hash = hashlib.sha256(as_text(jobs).encode()).hexdigest()[:8]
        self.plan = plan_file(self.hash)
        self.numbers = numbers(jobs)

    def arrays(self, queued: Mapping[str, tuple[str, int]]) -> list[Array]:
        """Return the arrays to submit, each after those that it waits for; `queued` is what Slurm has (see `in_slurm`).

        Raises ValueError for what is needed, not there, and not among the chosen jobs.
        """
        arrays: dict[str, Array] = {}
        places = dict(queued)
        done = {job.made for job in self.jobs if job.done() or job.stage == FETCHED}
        for job in self.chosen:
            if job.made in done or job.made in places:
                continue
            missing = [need for need in job.needs if need not in done and need not in places]
            if missing:
                raise ValueError(f"{', '.join(missing)}: not there yet, and not among the chosen jobs")
            twins, others = self.waits(job, [places[need] for need in job.needs if need not in done], arrays)
            array = place_in(arrays, job.stage, twins, others)
            array.jobs.append(job)
            array.others |= others
            places[job.made] = array.name, self.numbers[job.made]
        order = TopologicalSorter({name: array.waits & arrays.keys() for name, array in arrays.items()})
        return [arrays[name] for name in order.static_order()]

    def waits(
        self, job: Job, places: Sequence[tuple[str, int]], arrays: Mapping[str, Array]
    ) -> tuple[frozenset[str], set[str]]:
        """Return the arrays whose task of the same number a job waits for, and others; `places` are those it needs."""
        tasks: dict[str, list[int]] = {}
        for array, number in places:
            tasks.setdefault(array, []).append(number)
        twins = frozenset(array for array, of in tasks.items() if of == [self.numbers[job.made]])
        others = {
            array if array in arrays else f"{array}_{task}"
            for array, of in tasks.items() if array not in twins for task in of
        }  # fmt: skip
        return twins, others

    def command(self, array: Array, ids: Mapping[str, str]) -> list[str]:
        """Return the words of sbatch; `ids` has Slurm's numbers of the arrays before."""
        envelope, *flags = shlex.split(self.options.get(array.stage, ENVELOPE))
        at_once = self.facts.get(f"at_once:{array.stage}")
        tasks = spans([self.numbers[job.made] for job in array.jobs])
        dependency = array.dependency(ids)
        return [
            "sbatch", "--parsable", f"--job-name={array.stage}-{self.hash}", f"--chdir={Path.cwd()}",
            f"--array={tasks}" + (f"%{at_once:.0f}" if at_once else ""), f"--output={LOGS}/slurm-%x-%A-%a.log",
            *([f"--dependency={dependency}", "--kill-on-invalid-dep=yes"] if dependency else []),
            *flags, str(ENVELOPES / f"{envelope}.sbatch"),
            "python3", str(JOBS), "--plan", str(self.plan), "--stage", array.stage, "--task", "{I}",
        ]  # fmt: skip

    def to_fetch(self) -> list[str]:
        """Return what is to be there before the first job."""
        return [job.made for job in self.chosen if job.stage == FETCHED and not job.done()]

    def script(self) -> Iterator[str]:
        """Yield the lines that submit all that is not done, for a shell."""
        if self.to_fetch():
            yield "# first, where the internet is: recipes/fetch.sh"
        yield f"export LATXA={shlex.quote(str(ENVELOPES.parents[1]))}"
        arrays = self.arrays({})
        ids = {array.name: f"${array.name}" for array in arrays}
        for array in arrays:
            words = [
                f'"{word}"' if word.startswith("--dependency") else shlex.quote(word)
                for word in self.command(array, ids)
            ]
            yield f"{array.name}=$({' '.join(words)})"

    def submit(self) -> Iterator[str]:
        """Submit what is neither done nor queued, and yield a line for each array; raises ValueError."""
        if self.to_fetch():
            raise ValueError(f"{', '.join(self.to_fetch())}: not there yet; recipes/fetch.sh fetches what jobs cannot")
        LOGS.mkdir(exist_ok=True)
        with (LOGS / "submit.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two that submit at once: the second one sees what the first one did
            self.plan.write_text(as_text(self.jobs), encoding="utf-8")
            queued = in_slurm()
            ids: dict[str, str] = {}
            for array in self.arrays(queued):
                ids[array.name] = call(*self.command(array, ids)).strip().partition(";")[0]
                yield f"{ids[array.name]:<8}{len(array.jobs):>4} x {array.stage:<18}{array.dependency(ids)}".rstrip()
        waiting = sum(1 for job in self.chosen if job.made in queued)
        yield f"{waiting} jobs were queued already; `squeue --me` shows all" if waiting else "`squeue --me` shows them"


def place_in(arrays: dict[str, Array], stage: str, twins: frozenset[str], others: set[str]) -> Array:
    """Return the array for a job that waits for these: one that none of them waits for itself, or a new one."""

    def leads_to(name: str, array: Array) -> bool:
        return name == array.name or (name in arrays and any(leads_to(wait, array) for wait in arrays[name].waits))

    for array in arrays.values():
        if array.stage == stage and array.twins == twins and not any(leads_to(w, array) for w in twins | others):
            return array
    array = Array(f"{stage}_{len(arrays)}", stage, twins)
    return arrays.setdefault(array.name, array)


def plan_file(digest: str) -> Path:
    return LOGS / f"plan-{digest}.tsv"


def numbers(jobs: Sequence[Job]) -> dict[str, int]:
    """Return a number for each job, by what it makes: that of its last part, unless a job of its stage has it."""
    by_name: dict[str, int] = {}
    taken: set[tuple[str, int]] = set()
    found: dict[str, int] = {}
    for job in jobs:
        number = by_name.setdefault(Path(job.made).stem, len(by_name))
        while (job.stage, number) in taken:
            number = by_name.setdefault(f"{job.stage} {job.made}", len(by_name))
        taken.add((job.stage, number))
        found[job.made] = number
    return found


def spans(tasks: Sequence[int]) -> str:
    """Return numbers as sbatch takes them, such as `3-7,9`."""
    found: list[list[int]] = []
    for task in sorted(tasks):
        if found and task == found[-1][1] + 1:
            found[-1][1] = task
        else:
            found.append([task, task])
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in found)


def in_slurm() -> dict[str, tuple[str, int]]:
    """Return the jobs of this folder that are queued or run, by what they make: number of the array and of the task."""
    found = {}
    for line in call("squeue", "--me", "--array", "--noheader", "--format=%F %K %j %Z").splitlines():
        array, task, name, folder = line.split(" ", 3)
        stage, _, digest = name.rpartition("-")
        if Path(folder) == Path.cwd() and task.isdecimal() and plan_file(digest).exists():
            with plan_file(digest).open(encoding="utf-8") as file:
                found[job_of(read_jobs(file), stage, int(task)).made] = array, int(task)
    return found


def job_of(jobs: Sequence[Job], stage: str, task: int) -> Job:
    """Return the job of a stage that has this number; raises ValueError."""
    found = numbers(jobs)
    for job in jobs:
        if job.stage == stage and found[job.made] == task:
            return job
    raise ValueError(f"the plan has no task {task} of the stage `{stage}`")


def call(*words: str) -> str:
    """Run a command of Slurm's and return what it says; raises ValueError, with its message, where it fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ValueError(f"`{words[0]}` is not there: is this a login node of a Slurm cluster?") from None
    if done.returncode:
        raise ValueError(f"{words[0]}: {' '.join(done.stderr.split()) or f'exit code {done.returncode}'}")
    return done.stdout
