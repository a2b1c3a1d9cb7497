"""Carry out the jobs of a study: what is missing, in the order of what needs what, several at a time.

    recipes/study.sh prints the jobs, a line each as `job.py` describes it, and pipes them here.

What a job has made is complete when it is there, and so is its manifest, which every verb of latxa writes last. Nothing
else says how far a study has come: there is no state besides its files. A job holds a lock as long as it runs. Whoever
runs the same study a second time waits for the lock, and then finds the job done. Standard library only.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

import fetch
from job import LOGS, Job, leading_to, read_jobs
from plan import Plan
from submit import Submission, job_of

SHOWN = 15  # lines of a failed job's log
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)  # from file systems without locks, as Lustre may be mounted


def carry_out(jobs: Sequence[Job], done: set[str], at_once: int) -> int:
    """Run what is missing, and return the exit code: 1 if a job failed, after which none is started any more.

    `done` is what there is already, also of jobs that were not chosen.
    """
    waiting = [job for job in jobs if job.made not in done]
    say(f"{len(jobs)} jobs, {len(jobs) - len(waiting)} of them done")
    missing = {need for job in waiting for need in job.needs} - done - {job.made for job in waiting}
    if missing:
        say(f"{', '.join(sorted(missing))}: not there yet, and not among the chosen jobs")
        return 1
    LOGS.mkdir(exist_ok=True)
    running: dict[Future[int], Job] = {}
    code = 0
    with ThreadPoolExecutor(at_once) as pool:
        while running or (waiting and not code):
            startable = [job for job in waiting if not code and done.issuperset(job.needs)]
            for job in startable[: at_once - len(running)]:
                waiting.remove(job)
                running[pool.submit(run, job)] = job
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                job = running.pop(future)
                if future.result() == 0:
                    done.add(job.made)
                elif not code:
                    code = 1
                    tell_of_failure(job, future.result())
    return code


def run(job: Job) -> int:
    """Run one job under its lock, and return its exit code; 0 where another has run it meanwhile."""
    with (LOGS / f"{job.log.stem}.lock").open("w") as lock:
        take(lock.fileno(), job)
        if job.done():
            return 0
        Path(job.made).parent.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        with job.log.open("ab") as log:
            # A group of its own, so that an interruption reaches all that the command line starts, once. It inherits
            # the lock, which so outlives a killed study for as long as its job does.
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", job.command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, pass_fds=[lock.fileno()],
            )  # fmt: skip
            GROUPS.add(process.pid)
            if ENDING:
                os.killpg(process.pid, signal.SIGTERM)
            try:
                code = process.wait()
            finally:
                GROUPS.discard(process.pid)
        if code == 0 and not job.done():
            say(f"{job.stage}: {job.made} was not made")
            return 1
        if code == 0:
            say(f"{job.stage:<9} {job.made}  {time.monotonic() - started:.0f} s")
        return code


def take(lock: int, job: Job) -> None:
    """Lock an open file, and wait for whoever has locked it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"{job.made}: another run makes it; waiting")
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        say("this file system has no locks: nothing keeps two runs of this study apart")


GROUPS: set[int] = set()  # the processes that run, by their group
ENDING: list[int] = []  # the signal that ends the study


def interrupt(signum: int, frame: object) -> None:
    """Pass a signal on to all that runs, and end when that has saved its work; a second signal ends it at once."""
    again = bool(ENDING)
    ENDING.append(signum)
    for group in list(GROUPS):
        try:
            os.killpg(group, signal.SIGTERM)
        except ProcessLookupError:
            continue
    while GROUPS and not again:
        time.sleep(0.02)
    say("interrupted: the same line again continues")
    os._exit(128 + signum)


def tell_of_failure(job: Job, code: int) -> None:
    say(f"failed (exit code {code}): {job.command}")
    lines = job.log.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in lines[-SHOWN:]:
        say(f"    {line}")
    say(f"all of it: {job.log}")


def say(text: str) -> None:
    print(f"{os.environ.get('RECIPE', 'study')}: {text}", file=sys.stderr, flush=True)


def choose(jobs: Sequence[Job], stages: Sequence[str], only: Sequence[str]) -> list[Job]:
    """Return the jobs of some stages, or that lead to some variants' models, or all; raises ValueError."""
    known = dict.fromkeys(job.stage for job in jobs)
    for stage in stages:
        if stage not in known:
            raise ValueError(f"there is no stage `{stage}`; there are: {', '.join(known)}")
    wanted = [f"models/{code}" for code in only]
    made = {job.made for job in jobs}
    for model in wanted:
        if model not in made:
            raise ValueError(f"no job makes `{model}`")
    chosen = leading_to(jobs, wanted) if wanted else list(jobs)
    return [job for job in chosen if job.stage in stages] if stages else chosen


def as_lines(jobs: Iterable[Job]) -> Iterator[str]:
    for job in jobs:
        yield f"{'done' if job.done() else 'to do':<6} {job.stage:<10} {job.command}"


def flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Carry out the jobs on stdin, or submit them to Slurm.")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="jobs that run at the same time")
    parser.add_argument("--stage", action="append", default=[], metavar="NAME", help="only the jobs of this stage")
    parser.add_argument("--only", action="append", default=[], metavar="CODE", help="only what leads to this variant")
    parser.add_argument("--list", action="store_true", help="show the command lines, and run nothing")
    parser.add_argument("--dry-run", action="store_true", help="show what it would cost, and run nothing")
    parser.add_argument("--draw", type=Path, metavar="FILE.svg", help="draw the stages; with --dry-run")
    parser.add_argument("--fact", action="append", default=[], metavar="NAME=N", help="see plan.py")
    parser.add_argument("--limit", type=float, default=float("inf"), metavar="HOURS", help="the most GPU-hours")
    parser.add_argument("--submit", action="store_true", help="submit what is missing; with --dry-run, show how")
    parser.add_argument(
        "--slurm", action="append", default=[], metavar="STAGE=WORDS", help="envelope and sbatch's flags"
    )
    parser.add_argument("--check", action="store_true", help="say what is to be fetched, and run nothing")
    parser.add_argument("--plan", type=Path, metavar="FILE", help="take the jobs from here and not from stdin")
    parser.add_argument("--task", type=int, metavar="N", help="run the job of --stage with this number (see submit.py)")
    return parser


def main() -> int:
    arguments = flags().parse_args()
    try:
        every = read_jobs(arguments.plan.open(encoding="utf-8") if arguments.plan else sys.stdin)
        if arguments.task is not None:
            jobs = [job_of(every, arguments.stage[0], arguments.task)]
        else:
            jobs = choose(every, arguments.stage, arguments.only)
        return act(arguments, every, jobs)
    except ValueError as error:
        say(str(error))
        return 2


def act(arguments: argparse.Namespace, every: Sequence[Job], jobs: Sequence[Job]) -> int:
    """Show, submit or run the chosen `jobs` of `every` one; raises ValueError."""
    if arguments.list:
        print("\n".join(as_lines(jobs)))
        return 0
    facts = {name: float(value) for name, _, value in (fact.rpartition("=") for fact in arguments.fact)}
    plan = Plan(every, jobs, facts)
    submission = Submission(every, jobs, dict(words.split("=", 1) for words in arguments.slurm), facts)
    if arguments.check:
        lines = list(fetch.missing(jobs, Plan(every, [job for job in every if job not in jobs], facts).total_disk()))
        for line in lines:
            say(line)
        return int(bool(lines))
    if arguments.draw:
        arguments.draw.write_text(plan.drawing(), encoding="utf-8")
    if arguments.dry_run:
        print("\n".join(submission.script()) if arguments.submit else plan.text())
        return 0
    if plan.total_hours() > arguments.limit:
        say(f"this takes some {plan.total_hours():,.0f} GPU-hours (`--dry-run` shows what); `--yes` does it")
        return 2
    if arguments.submit:
        for line in submission.submit():
            say(line)
        return 0
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, interrupt)
    return carry_out(jobs, {job.made for job in every if job.done()}, arguments.at_once)


if __name__ == "__main__":
    sys.exit(main())
