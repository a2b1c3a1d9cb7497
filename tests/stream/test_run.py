"""A run: subsets and shards, rejects and counts, interruptions of every kind."""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latxa_cli.stream import outputs as outputs_module
from latxa_cli.stream import run as run_module
from latxa_cli.stream.errors import LatxaError, RecordError, UsageError
from latxa_cli.stream.outputs import Destination
from latxa_cli.stream.records import Lines, Outcome, Record, Reject
from latxa_cli.stream.resume import Counts
from latxa_cli.stream.run import Run


def source(folder: Path, count: int, broken: tuple[int, ...] = ()) -> str:
    path = folder / "in.jsonl"
    lines = ["broken" if n in broken else json.dumps({"id": f"d{n}", "text": f"text {n}"}) for n in range(count)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def ids(records: Iterator[Record]) -> list[str]:
    return [record["id"] for record in records]


def opened(folder: Path, destination: Destination | None = None, **given_settings: Any) -> Run:
    return Run("test", destination or Destination(output=folder / "out.jsonl", quiet=True), given_settings)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5), st.integers(0, 30))
@settings(max_examples=40)
def test_a_smaller_subset_is_part_of_a_larger_one(few: int, more: int, seed: int, count: int) -> None:
    few, more = sorted((few, more))
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = source(folder, count)
        drawn = [ids(opened(folder, seed=seed).read([path], "document", take=take)) for take in (few, more)]
    assert set(drawn[0]) <= set(drawn[1])
    for part, take in zip(drawn, (few, more), strict=True):
        assert len(part) == min(take, count)
        assert part == sorted(part, key=lambda given_id: int(given_id[1:])), "input order is kept"


@given(st.integers(1, 6), st.integers(0, 25), st.none() | st.integers(1, 20), st.sets(st.integers(0, 24), max_size=4))
@settings(max_examples=40)
def test_shards_are_a_partition(shards: int, count: int, take: int | None, broken: set[int]) -> None:
    """Of the records, of what is malformed, and of the counts: added up they are those of one run."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = source(folder, count, tuple(broken))

        def made(shard: tuple[int, int] | None) -> tuple[list[str], list[str], Counts]:
            destination = Destination(folder / "out.jsonl", rejects=folder / "rejects.jsonl", quiet=True)
            with suppress(LatxaError), opened(folder, destination, shard=shard) as run:  # a shard may keep nothing
                run.write(run.read([path], "document", take=take))
            records = [json.loads(line)["id"] for line in lines_of(folder / "out.jsonl")]
            rejects = [json.loads(line)["where"].removeprefix(path) for line in lines_of(folder / "rejects.jsonl")]
            for file in (folder / "out.jsonl", folder / "rejects.jsonl"):
                file.unlink(missing_ok=True)
            return records, rejects, run.counts

        whole, whole_rejects, whole_counts = made(None)
        parts = [made((index, shards)) for index in range(shards)]
    assert sorted(name for records, _, _ in parts for name in records) == sorted(whole)
    malformed = [n for n in sorted(broken) if n < count]
    assert whole_rejects == [f":{n + 1}" for n in malformed]
    assert sorted(where for _, rejects, _ in parts for where in rejects) == sorted(whole_rejects)
    total = sum((Counter(counts.as_dict()["rejected"]) for _, _, counts in parts), Counter())
    assert total == whole_counts.rejected == Counter({"malformed": len(malformed)} if malformed else {})
    assert sum(counts.read for _, _, counts in parts) == whole_counts.read == len(whole) + len(malformed)
    assert sum(counts.written for _, _, counts in parts) == whole_counts.written == len(whole)
    if take is None:  # the units of work, whole or not, are shared out by turns
        assert [len(records) + len(rejects) for records, rejects, _ in parts] == [
            len(range(index, count, shards)) for index in range(shards)
        ]
    else:
        assert len(whole) == min(take, count - len(malformed))


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines() if path.exists() else []


def test_a_shard_says_which_records_it_does_and_the_malformed_take_a_turn(tmp_path: Path) -> None:
    path = source(tmp_path, 7, broken=(2, 3))
    rejects = Destination(tmp_path / "out.jsonl", rejects=tmp_path / "rejects", quiet=True)
    shards = [ids(opened(tmp_path, rejects, shard=(index, 3)).read([path], "document")) for index in range(3)]
    assert shards == [["d0", "d6"], ["d1", "d4"], ["d5"]]


def test_random_draws_differ_by_seed(tmp_path: Path) -> None:
    path = source(tmp_path, 200)
    draws = [ids(opened(tmp_path, seed=seed).read([path], "document", take=20)) for seed in (0, 1, 1)]
    assert draws[0] != draws[1] == draws[2]


def test_what_is_not_taken_is_counted(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.write(run.read([source(tmp_path, 20)], "document", take=6))
    counts = json.loads((tmp_path / "out.jsonl.manifest.json").read_bytes())["counts"]
    assert counts == {"in": 6, "out": 6, "rejected": {}, "not taken": 14}


def judge(records: Iterator[Record]) -> Iterator[Outcome]:
    """Reject every third record, give two for every fifth."""
    for record in records:
        number = int(record["id"][1:])
        if number % 3 == 0:
            yield Reject(record, "third", "of three")
        elif number % 5 == 0:
            yield [record, record | {"id": record["id"] + "-more"}]
        else:
            yield record


def complete(folder: Path, path: str, *, resume: bool = False, name: str = "out.jsonl") -> Run:
    destination = Destination(output=folder / name, rejects=folder / f"{name}.rejects", resume=resume, quiet=True)
    run = opened(folder, destination)
    with run:
        run.write(judge(run.read([path], "document")))
    return run


def test_everything_is_counted(tmp_path: Path) -> None:
    path = source(tmp_path, 20, broken=(4, 19))
    run = complete(tmp_path, path)
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_bytes())
    rejects = [json.loads(line) for line in (tmp_path / "out.jsonl.rejects").read_bytes().splitlines()]
    assert manifest["counts"] == {"in": 20, "out": 13, "rejected": {"malformed": 2, "third": 7}}
    assert run.counts.written == len((tmp_path / "out.jsonl").read_bytes().splitlines())
    assert [entry.get("where") or entry["record"]["id"] for entry in rejects] == [
        "d0", "d3", f"{path}:5", "d6", "d9", "d12", "d15", "d18", f"{path}:20",
    ]  # fmt: skip
    assert not list(tmp_path.glob("*.part*"))


class StopError(Exception):
    """What interrupts a run in these tests."""


@pytest.mark.parametrize("error", [StopError, KeyboardInterrupt])
@pytest.mark.parametrize("checkpoints", [0.0, 1e9], ids=["often", "seldom"])
@pytest.mark.parametrize("after", range(17))
def test_a_run_interrupted_after_any_record_goes_on(
    after: int, checkpoints: float, error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "SECONDS_BETWEEN_CHECKPOINTS", checkpoints)
    path = source(tmp_path, 20, broken=(4, 5, 11))

    def interrupted(records: Iterator[Record]) -> Iterator[Outcome]:
        for number, outcome in enumerate(judge(records)):
            if number == after:
                raise error
            yield outcome

    complete(tmp_path, path, name="whole.jsonl")
    destination = Destination(tmp_path / "out.jsonl", rejects=tmp_path / "out.jsonl.rejects", quiet=True)
    with pytest.raises(error), opened(tmp_path, destination) as run:
        run.write(interrupted(run.read([path], "document")))
    assert not (tmp_path / "out.jsonl").exists()
    run = complete(tmp_path, path, resume=True)
    assert run.counts.as_dict() == json.loads((tmp_path / "whole.jsonl.manifest.json").read_bytes())["counts"]
    for ending in ("", ".rejects"):
        assert (tmp_path / f"out.jsonl{ending}").read_bytes() == (tmp_path / f"whole.jsonl{ending}").read_bytes()


@pytest.mark.parametrize("room", [0, 1, 40, 333, 700])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=repr)
def test_a_write_that_stops_in_the_middle_of_a_record_loses_nothing(
    room: int, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills up, or the user interrupts, while bytes are on their way."""
    monkeypatch.setattr(run_module, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    path = source(tmp_path, 20)
    complete(tmp_path, path, name="whole.jsonl")
    left, write = room, os.write

    def full(descriptor: int, data: Any) -> int:
        nonlocal left
        if left <= 0:
            raise error
        written = write(descriptor, bytes(data)[:left])
        left -= written
        return written

    monkeypatch.setattr(os, "write", full)
    with pytest.raises((LatxaError, KeyboardInterrupt)):
        complete(tmp_path, path)
    monkeypatch.undo()
    complete(tmp_path, path, resume=True)
    for ending in ("", ".rejects"):
        assert (tmp_path / f"out.jsonl{ending}").read_bytes() == (tmp_path / f"whole.jsonl{ending}").read_bytes()


def test_a_complete_output_is_told_from_one_made_otherwise(tmp_path: Path) -> None:
    path = source(tmp_path, 5)
    complete(tmp_path, path)
    destination = Destination(tmp_path / "out.jsonl", resume=True, quiet=True)
    assert opened(tmp_path, destination).is_complete()
    with pytest.raises(UsageError, match="`seed` was not given and is now `3`"):
        opened(tmp_path, destination, seed=3).is_complete()
    Path(path).write_text(Path(path).read_text() + '{"text": "more"}\n')
    with pytest.raises(UsageError, match="has changed since"):
        opened(tmp_path, destination).is_complete()
    assert not opened(tmp_path, Destination(tmp_path / "out.jsonl", quiet=True)).is_complete()


def test_a_malformed_line_ends_a_run_without_rejects(tmp_path: Path) -> None:
    path = source(tmp_path, 5, broken=(2,))
    with pytest.raises(RecordError, match=rf"^{path}:3: not JSON"), opened(tmp_path) as run:
        run.write(run.read([path], "document"))
    assert not (tmp_path / "out.jsonl").exists()


def test_nothing_kept_is_an_error_and_nothing_read_is_not(tmp_path: Path) -> None:
    with pytest.raises(LatxaError, match="nothing was kept"), opened(tmp_path) as run:
        run.write(Reject(record, "bad") for record in run.read([source(tmp_path, 3)], "document"))
    with opened(tmp_path) as run:
        run.write(run.read([source(tmp_path, 0)], "document"))
    assert (tmp_path / "out.jsonl").read_bytes() == b""


def test_a_verb_that_loses_a_record_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="have no outcome"), opened(tmp_path) as run:
        records = run.read([source(tmp_path, 3)], "document")
        run.write(record for record in records if record["id"] != "d2")


# --- every defect once found keeps its test ---------------------------------------------------------------------------


def half_done(folder: Path, path: str, rejects: str = "rejects.jsonl") -> None:
    """Leave a run that was interrupted after seven outcomes."""

    def interrupted(records: Iterator[Record]) -> Iterator[Outcome]:
        for number, outcome in enumerate(judge(records)):
            if number == 7:
                raise StopError
            yield outcome

    destination = Destination(folder / "out.jsonl", rejects=folder / rejects, quiet=True)
    with pytest.raises(StopError), opened(folder, destination) as run:
        run.write(interrupted(run.read([path], "document")))


@pytest.mark.parametrize("gone", ["out.jsonl.part", "rejects.jsonl.part"])
@pytest.mark.parametrize("shorter", [False, True])
def test_work_that_is_gone_is_not_made_up(gone: str, shorter: bool, tmp_path: Path) -> None:
    half_done(tmp_path, source(tmp_path, 20))
    (tmp_path / gone).write_bytes(b"{}\n") if shorter else (tmp_path / gone).unlink()
    destination = Destination(tmp_path / "out.jsonl", rejects=tmp_path / "rejects.jsonl", resume=True)
    with pytest.raises(LatxaError, match="is not there any more"):
        opened(tmp_path, destination)


def test_rejects_may_be_asked_for_when_a_run_goes_on(tmp_path: Path) -> None:
    path = source(tmp_path, 20)

    def go(*, rejects: Path | None, stop: int | None) -> None:
        def interrupted(records: Iterator[Record]) -> Iterator[Outcome]:
            for number, outcome in enumerate(judge(records)):
                if number == stop:
                    raise StopError
                yield outcome

        destination = Destination(tmp_path / "out.jsonl", rejects=rejects, resume=stop is None, quiet=True)
        with opened(tmp_path, destination) as run:
            run.write(interrupted(run.read([path], "document")))

    with pytest.raises(StopError):
        go(rejects=None, stop=7)
    go(rejects=tmp_path / "rejects.jsonl", stop=None)
    kept = (tmp_path / "out.jsonl").read_bytes()
    aside = [json.loads(line)["record"]["id"] for line in (tmp_path / "rejects.jsonl").read_bytes().splitlines()]
    assert aside == ["d9", "d12", "d15", "d18"], "from where the run goes on"
    complete(tmp_path, path, name="whole.jsonl")
    assert kept == (tmp_path / "whole.jsonl").read_bytes()


def test_a_further_output_goes_on_with_the_run(tmp_path: Path) -> None:
    """Both files hold what the checkpoint says, whatever was written after it."""
    path, review = source(tmp_path, 20), tmp_path / "review.jsonl"

    def go(*, resume: bool, stop: int | None) -> None:
        with Run("test", with_review(tmp_path, resume=resume), {}) as run:
            further = run.file(review)
            assert further is not None

            def outcomes() -> Iterator[Outcome]:
                for record in run.read([path], "document"):
                    if record["id"] == f"d{stop}":
                        os._exit(7)
                    further.write({"seen": record["id"]})
                    yield record

            run.write(outcomes(), burst=3)

    if (child := os.fork()) == 0:
        go(resume=False, stop=10)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert not review.exists()
    go(resume=True, stop=None)
    seen = [json.loads(line)["seen"] for line in review.read_bytes().splitlines()]
    assert seen == [f"d{number}" for number in range(20)]
    assert [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_bytes().splitlines()] == seen
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("flag", ["-o", "--review"])
def test_a_kill_between_two_renames_at_the_end_loses_nothing(flag: str, tmp_path: Path) -> None:
    path = source(tmp_path, 5)
    if (child := os.fork()) == 0:
        with Run("test", with_review(tmp_path), {}) as run:
            run.write(run.read([path], "document"))
            run.outputs.writers[flag].finish = lambda: os._exit(7)  # type: ignore[method-assign]
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert (tmp_path / "review.jsonl").exists() == (flag == "-o") and not (tmp_path / "out.jsonl").exists()
    with Run("test", with_review(tmp_path, resume=True), {}) as run:
        run.write(run.read([path], "document"))
    assert (tmp_path / "review.jsonl").exists() and len((tmp_path / "out.jsonl").read_bytes().splitlines()) == 5
    assert not list(tmp_path.glob("*.part*"))


def test_an_earlier_output_is_not_taken_for_what_the_interrupted_run_had_written(tmp_path: Path) -> None:
    path = source(tmp_path, 20)
    complete(tmp_path, path, name="out.jsonl")
    half_done(tmp_path, path, rejects="out.jsonl.rejects")
    (tmp_path / "out.jsonl.part").unlink()
    with pytest.raises(LatxaError, match="is not there any more"):
        complete(tmp_path, path, resume=True)


@pytest.mark.parametrize("other", [None, "others.jsonl"])
def test_a_run_goes_on_with_its_own_rejects_only(other: str | None, tmp_path: Path) -> None:
    half_done(tmp_path, source(tmp_path, 20))
    destination = Destination(tmp_path / "out.jsonl", rejects=tmp_path / other if other else None, resume=True)
    with pytest.raises(UsageError, match="the interrupted run had `--rejects "):
        opened(tmp_path, destination)


def test_a_run_goes_on_with_its_own_side_inputs_only(tmp_path: Path) -> None:
    path, shots = source(tmp_path, 20), tmp_path / "shots.jsonl"
    shots.write_bytes(b'{"id":"s","source":"a","target":"b"}\n')

    def stop(records: Iterator[Record]) -> Iterator[Outcome]:
        yield next(records)
        raise StopError

    with pytest.raises(StopError), opened(tmp_path, Destination(tmp_path / "out.jsonl", quiet=True)) as run:
        run.read_all(str(shots), "pair")
        run.write(stop(run.read([path], "document")))
    shots.write_bytes(b'{"id":"s","source":"a","target":"c"}\n')
    with (
        pytest.raises(UsageError, match=r"shots\.jsonl` has changed since"),
        opened(tmp_path, Destination(tmp_path / "out.jsonl", resume=True, quiet=True)) as run,
    ):
        run.read_all(str(shots), "pair")
        run.write(run.read([path], "document"))


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    path = source(tmp_path, 20)
    opened(tmp_path, Destination(tmp_path / "out.jsonl", quiet=True)).outputs.try_out()
    assert not list(tmp_path.glob("out*"))

    def meanwhile(records: Iterator[Record]) -> Iterator[Outcome]:
        for number, record in enumerate(records):
            if number == 3:
                with (
                    pytest.raises(LatxaError, match="another run is writing it"),
                    opened(tmp_path, Destination(tmp_path / "out.jsonl", quiet=True)) as second,
                ):
                    second.write(second.read([path], "document"))
                with pytest.raises(LatxaError, match="another run is writing it"):  # as a dry run does it
                    opened(tmp_path, Destination(tmp_path / "out.jsonl", quiet=True)).outputs.try_out()
            yield record

    with opened(tmp_path, Destination(tmp_path / "out.jsonl", quiet=True)) as run:
        run.write(meanwhile(run.read([path], "document")))
    assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) == 20


@pytest.mark.parametrize(
    "names", [("x", "x", None), ("x", None, "x"), ("x", "y", "y"), ("x", "folder", None), ("x", None, "none/m")]
)
def test_outputs_that_cannot_be(names: tuple[str | None, ...], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    output, rejects, manifest = (tmp_path / name if name else None for name in names)
    with pytest.raises(UsageError):
        opened(tmp_path, Destination(output, rejects=rejects, manifest=manifest))


def test_a_directory_that_is_not_ours_is_never_touched(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"precious")
    for resume in (False, True):
        with pytest.raises(UsageError):
            Run("init", Destination(folder, resume=resume), {}, makes="directory")


def test_what_is_only_for_a_resume_goes_last(tmp_path: Path) -> None:
    seen = []
    with Run("train", Destination(tmp_path / "model", quiet=True), {}, makes="directory") as run:
        run.afterwards(lambda: seen.append((tmp_path / "model" / "manifest.json").exists()))
    assert seen == [True] and not list(tmp_path.glob("*.state"))


def test_lines_are_written_and_counted_as_they_are(tmp_path: Path) -> None:
    destination = Destination(output=tmp_path / "out.jsonl", rejects=tmp_path / "bad.jsonl", quiet=True)
    with Run("test", destination, {}, makes="whole") as run:
        run.counts.read = 5
        run.write(
            [
                Lines(b'{"id":"a"}\n{"id":"b"}\n', 2),
                Lines(b'{"reason":"worn"}\n{"reason":"worn"}\n', 2, "worn"),
                Lines(b"", 1, "odd"),
            ]
        )
    assert (tmp_path / "out.jsonl").read_bytes() == b'{"id":"a"}\n{"id":"b"}\n'
    assert (tmp_path / "bad.jsonl").read_bytes() == b'{"reason":"worn"}\n' * 2
    counts = json.loads((tmp_path / "out.jsonl.manifest.json").read_bytes())["counts"]
    assert counts == {"in": 5, "out": 2, "rejected": {"odd": 1, "worn": 2}}


def with_review(folder: Path, *, resume: bool = False) -> Destination:
    return Destination(folder / "out.jsonl", resume=resume, quiet=True, further={"--review": folder / "review.jsonl"})


def test_a_further_output_is_complete_when_the_run_is(tmp_path: Path) -> None:
    with Run("test", with_review(tmp_path), {}, makes="whole") as run:
        review = run.file(tmp_path / "review.jsonl")
        assert review is not None
        review.write({"id": "a"})
        assert not (tmp_path / "review.jsonl").exists()
        assert run.file(None) is None
    assert (tmp_path / "review.jsonl").read_bytes() == b'{"id":"a"}\n'


def test_a_failed_run_leaves_no_further_output(tmp_path: Path) -> None:
    with pytest.raises(LatxaError), Run("test", with_review(tmp_path), {}, makes="whole"):
        raise LatxaError("no more")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("end", [LatxaError("no more"), KeyboardInterrupt(), SystemExit(0)])
def test_a_whole_that_is_not_complete_leaves_nothing(end: BaseException, tmp_path: Path) -> None:
    def outcomes() -> Iterator[Outcome]:
        yield Lines(b'{"id":"a"}\n', 1)
        raise end

    with pytest.raises(type(end)), Run("test", with_review(tmp_path), {}, makes="whole") as run:
        run.write(outcomes())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flag", ["output", "rejects", "manifest"])
def test_an_output_does_not_take_the_place_of_an_input(flag: str, tmp_path: Path) -> None:
    path = source(tmp_path, 2)
    destination = Destination(**{"output": tmp_path / "out.jsonl", flag: tmp_path / "in.jsonl", "quiet": True})
    before = Path(path).read_bytes()
    with pytest.raises(UsageError, match="is an input too"), opened(tmp_path, destination) as run:
        run.write(run.read([path], "document"))
    assert Path(path).read_bytes() == before


def test_a_run_is_not_complete_without_its_further_outputs(tmp_path: Path) -> None:
    def made() -> Run:
        return Run("test", with_review(tmp_path, resume=True), {}, makes="whole")

    with made():
        pass
    assert made().is_complete()
    (tmp_path / "review.jsonl").unlink()
    assert not made().is_complete()


# --- what a run goes on from ------------------------------------------------------------------------------------------


def test_a_run_goes_on_with_its_own_input_only(tmp_path: Path) -> None:
    path = source(tmp_path, 20)
    half_done(tmp_path, path)
    whole = Path(path).read_text()
    for other, what in (
        (whole.replace('"d6"', '"other"'), "record 7 was `d6`"),
        ("".join(whole.splitlines(keepends=True)[:5]), "it had 7 records or more"),
    ):
        Path(path).write_text(other)
        with pytest.raises(UsageError, match=f"another input: {what}"):
            complete_beside(tmp_path, path)
    Path(path).write_text(whole)
    assert complete_beside(tmp_path, path).counts.read == 20


def complete_beside(folder: Path, path: str, **given_settings: Any) -> Run:
    destination = Destination(folder / "out.jsonl", rejects=folder / "rejects.jsonl", resume=True, quiet=True)
    with opened(folder, destination, **given_settings) as run:
        run.write(judge(run.read([path], "document")))
    return run


def test_a_run_goes_on_with_its_own_settings_only(tmp_path: Path) -> None:
    path = source(tmp_path, 20)
    half_done(tmp_path, path)
    with pytest.raises(UsageError, match="the interrupted run had other settings: `seed` was not given and is now `3`"):
        complete_beside(tmp_path, path, seed=3)


def test_a_kill_after_the_last_rename_leaves_a_complete_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(outputs_module.Outputs, "forget", lambda _: pytest.fail("killed here"))
        with pytest.raises(pytest.fail.Exception):
            complete(tmp_path, source(tmp_path, 20))
    assert (tmp_path / "out.jsonl.part.state").exists()
    again = opened(tmp_path, Destination(tmp_path / "out.jsonl", rejects=tmp_path / "out.jsonl.rejects", resume=True))
    assert again.is_complete() and "out.jsonl is complete already" in capfd.readouterr().err


def test_rejects_that_a_complete_run_does_not_make_are_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    complete(tmp_path, source(tmp_path, 20))
    output, made, other = (tmp_path / name for name in ("out.jsonl", "out.jsonl.rejects", "other.jsonl"))
    for rejects, told in ((made, False), (other, True)):
        assert opened(tmp_path, Destination(output, rejects=rejects, resume=True)).is_complete()
        said = f"; `--rejects {rejects}` is not made, since nothing is done again"
        assert (f"{output} is complete already{said if told else ''}\n") in capfd.readouterr().err
        assert not other.exists()


def test_the_manifest_of_the_output_before_goes_before_the_new_one_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a kill in between would leave a new output that the old manifest calls complete."""
    path = source(tmp_path, 3)
    complete(tmp_path, path)
    manifest = tmp_path / "out.jsonl.manifest.json"
    assert manifest.exists()
    monkeypatch.setattr(run_module, "save_manifest", lambda *_, **__: pytest.fail("killed here"))
    with pytest.raises(pytest.fail.Exception):
        complete(tmp_path, path)
    assert (tmp_path / "out.jsonl").exists() and not manifest.exists()


def test_a_run_can_be_resumed_from_its_first_record_on(tmp_path: Path) -> None:
    """A kill may come before the first second is over: the unfinished file must be known as this run's."""
    seen = []

    def watched(records: Iterator[Record]) -> Iterator[Outcome]:
        for record in records:
            seen.append(json.loads((tmp_path / "out.jsonl.part.state").read_bytes())["position"])
            yield record

    with opened(tmp_path) as run:
        run.write(watched(run.read([source(tmp_path, 3)], "document")))
    assert seen == [0, 0, 0]


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_costly_outcomes_are_handed_on_at_once_and_each_burst_is_safe(name: str, tmp_path: Path) -> None:
    sizes, positions = [], []

    def watched(records: Iterator[Record]) -> Iterator[Outcome]:
        for record in records:
            sizes.append((tmp_path / f"{name}.part").stat().st_size)
            positions.append(json.loads((tmp_path / f"{name}.part.state").read_bytes())["position"])
            yield record

    with opened(tmp_path, Destination(tmp_path / name, quiet=True)) as run:
        run.write(watched(run.read([source(tmp_path, 5)], "document")), burst=2)
    assert positions == [0, 0, 2, 2, 4]
    grew = [later > earlier for earlier, later in pairwise(sizes)]
    assert grew == ([True] * 4 if name == "out.jsonl" else [False, True, False, True]), "a frame for a line is too much"


def test_no_more_is_written_or_counted_than_was_asked_for(tmp_path: Path) -> None:
    def ahead(records: Iterator[Record]) -> Iterator[Outcome]:
        """Reads in batches, as an engine does."""
        while batch := list(islice(records, 4)):
            yield from judge(iter(batch))

    for most, read, out in ((3, 5, 3), (1, 2, 1), (100, 20, 15)):
        with opened(tmp_path) as run:
            run.write(ahead(run.read([source(tmp_path, 20)], "document")), most=most)
        assert (run.counts.read, run.counts.written) == (read, out)
        assert len(lines_of(tmp_path / "out.jsonl")) == out


# --- what is told, and what is never touched --------------------------------------------------------------------------


def test_a_malformed_line_is_set_aside_with_its_place_and_as_much_as_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"text": "a"}\n{"text": 1}\n' + b"x" * (1 << 21) + b"\n")
    destination = Destination(tmp_path / "out.jsonl", rejects=tmp_path / "rejects.jsonl", quiet=True)
    with opened(tmp_path, destination) as run:
        run.write(run.read([str(path)], "document"))
    first, second = [json.loads(line) for line in lines_of(tmp_path / "rejects.jsonl")]
    assert first == {
        "reason": "malformed", "detail": "`text` is a number, not a string", "where": f"{path}:2",
        "line": '{"text": 1}',
    }  # fmt: skip
    assert second["where"] == f"{path}:3" and second["line"] == "x" * (1 << 20)


def test_what_is_rejected_is_set_aside_whole_with_reason_and_detail(tmp_path: Path) -> None:
    complete(tmp_path, source(tmp_path, 4))
    assert [json.loads(line) for line in lines_of(tmp_path / "out.jsonl.rejects")] == [
        {"reason": "third", "detail": "of three", "record": {"id": f"d{n}", "text": f"text {n}"}} for n in (0, 3)
    ]


def test_all_inputs_stand_in_the_manifest_in_order(tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        files.append(source(tmp_path / name, 2))
    (tmp_path / "shots.jsonl").write_text('{"id": "s", "source": "a", "target": "b"}\n')
    (tmp_path / "model").mkdir()
    with opened(tmp_path) as run:
        run.read_all(str(tmp_path / "shots.jsonl"), "pair")
        run.depends_on(tmp_path / "model")
        run.depends_on(tmp_path / "nothing")
        run.write(run.read(files, "document"))
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_bytes())
    assert [entry["path"] for entry in manifest["inputs"]] == [
        *files, str(tmp_path / "shots.jsonl"), str(tmp_path / "model"),
    ]  # fmt: skip
    assert all("xxh3_128" in entry for entry in manifest["inputs"])


def test_an_output_does_not_take_the_place_of_a_side_input(tmp_path: Path) -> None:
    shots = tmp_path / "out.jsonl"
    before = b'{"id": "s", "source": "a", "target": "b"}\n'
    for use in (
        lambda run: run.read_all(str(shots), "pair"),
        lambda run: run.depends_on(shots),
        lambda run: run.reads([{"path": str(shots)}]),
        lambda run: list(run.read([source(tmp_path, 1), str(shots)], "document")),
    ):
        shots.write_bytes(before)
        with pytest.raises(UsageError, match="is an input too"), opened(tmp_path) as run:
            use(run)
        assert shots.read_bytes() == before


def test_a_further_output_does_not_take_the_place_of_an_input(tmp_path: Path) -> None:
    path = source(tmp_path, 2)
    destination = Destination(output=tmp_path / "out.jsonl", quiet=True, further={"--review": Path(path)})
    with (
        pytest.raises(UsageError, match=r"`--review .*` is an input too"),
        Run("test", destination, {}, makes="whole") as run,
    ):
        run.write(run.read([path], "document"))
    assert len(lines_of(Path(path))) == 2


def test_one_file_under_two_names_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for further in ({"--rejects": tmp_path / "x.jsonl"}, {"--review": tmp_path / "x.jsonl"}):
        with pytest.raises(UsageError, match="would both write"):
            opened(tmp_path, Destination(Path("x.jsonl"), further=further))


@pytest.mark.parametrize("gone", ["review.jsonl", "card.md"])
def test_a_run_is_not_complete_without_each_of_its_further_outputs(gone: str, tmp_path: Path) -> None:
    def made() -> Run:
        further = {"--review": tmp_path / "review.jsonl", "--card": tmp_path / "card.md"}
        destination = Destination(output=tmp_path / "out.jsonl", quiet=True, resume=True, further=further)
        return Run("test", destination, {}, makes="whole")

    with made():
        pass
    assert made().is_complete()
    (tmp_path / gone).unlink()
    assert not made().is_complete()


def test_a_reader_who_closes_the_pipe_leaves_whole_rejects(tmp_path: Path) -> None:
    destination = Destination(rejects=tmp_path / "rejects.jsonl", quiet=True)
    with pytest.raises(SystemExit), Run("test", destination, {}, makes="whole") as run:
        run.write([Reject({"id": "a"}, "bad")])
        raise SystemExit(0)
    assert [json.loads(line)["reason"] for line in lines_of(tmp_path / "rejects.jsonl")] == ["bad"]


def test_files_of_another_process_may_go_while_outputs_are_compared_with_inputs(tmp_path: Path) -> None:
    """Processes that train together have one output, whose first process writes and removes parts."""
    outputs = outputs_module.Outputs("mix", Destination(output=tmp_path / "out.jsonl"))
    part, given_file, over = tmp_path / "out.jsonl.part", source(tmp_path, 1), Event()

    def come_and_go() -> None:
        while not over.is_set():
            part.touch()
            part.unlink()

    other = Thread(target=come_and_go)
    other.start()
    try:
        for _ in range(5_000):
            outputs.keep_apart([given_file])
    finally:
        over.set()
        other.join()
