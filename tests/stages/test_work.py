"""The folder of an unfinished run: what is done again, and what is not."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
import stage_tasks

from latxa_cli.stages import Work, load_array, new_file, open_executor, save_array, save_bytes
from latxa_cli.stream import files
from latxa_cli.stream.errors import LatxaError, UsageError

PLAN = {"seed": 1, "inputs": ["a.jsonl"]}


def work(folder: Path, plan: dict[str, Any] = PLAN, *, resume: bool = True, **options: Any) -> Work:
    return Work(folder, plan, open_executor("local", 1), resume=resume, **options)


def tasks(folder: Path, count: int = 4, **more: Any) -> list[dict[str, Any]]:
    return [{"folder": str(folder), "number": number, **more} for number in range(count)]


def log(folder: Path) -> list[str]:
    path = folder / "log"
    lines = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def test_results_come_in_order_and_through_json(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with work(tmp_path / "w", progress=lambda *what: told.append(what)) as place:
        results = place.stage("first", stage_tasks.noted, tasks(tmp_path))
    assert results == [{"number": number, "pair": [1, 2]} for number in range(4)]
    assert told == [("first", done, 4) for done in range(5)]
    with work(tmp_path / "w") as place:
        assert place.is_done("first", tasks(tmp_path))
        assert place.stage("first", stage_tasks.noted, tasks(tmp_path)) == results
    assert log(tmp_path) == ["0", "1", "2", "3"]


@pytest.mark.parametrize("workers", [1, 2])
def test_only_what_is_missing_is_done_again(workers: int, tmp_path: Path) -> None:
    todo = tasks(tmp_path, 6)
    with (
        open_executor("local", workers, ["stage_tasks"]) as executor,
        Work(tmp_path / "w", PLAN, executor) as place,
        pytest.raises(LatxaError, match="task 3 failed"),
    ):
        place.stage("first", stage_tasks.broken_at_3, todo)
    done = {int(path.stem) for path in (tmp_path / "w" / "first").glob("*.json")}
    assert {0, 1, 2} <= done and 3 not in done
    log(tmp_path)
    with work(tmp_path / "w") as place:
        assert [result["number"] for result in place.stage("first", stage_tasks.noted, todo)] == list(range(6))
    assert set(map(int, log(tmp_path))) == set(range(6)) - done


def test_without_resume_all_is_done_again(tmp_path: Path) -> None:
    for _ in range(2):
        with work(tmp_path / "w", resume=False) as place:
            assert not place.is_done("first", tasks(tmp_path))
            place.stage("first", stage_tasks.noted, tasks(tmp_path))
            save_bytes(place.folder / "first" / "made", b"")
    assert log(tmp_path) == ["0", "1", "2", "3"] * 2
    with work(tmp_path / "w", {"seed": 2}, resume=False) as place:
        assert sorted(path.name for path in place.folder.iterdir()) == ["latxa.lock", "plan.json"]


def test_another_plan_is_refused_and_nothing_touched(tmp_path: Path) -> None:
    with work(tmp_path / "w") as place:
        place.stage("first", stage_tasks.noted, tasks(tmp_path))
    with pytest.raises(UsageError, match="another: `seed` was `1` and is now `2`"):
        work(tmp_path / "w", PLAN | {"seed": 2})
    with work(tmp_path / "w") as place:
        assert place.is_done("first", tasks(tmp_path))


def test_other_tasks_are_done_and_all_that_follows_is_done_again(tmp_path: Path) -> None:
    with work(tmp_path / "w") as place:
        for name in ("first", "second", "third"):
            place.stage(name, stage_tasks.noted, tasks(tmp_path))
    log(tmp_path)
    with work(tmp_path / "w") as place:
        place.stage("first", stage_tasks.noted, tasks(tmp_path))
        assert log(tmp_path) == []
        place.stage("second", stage_tasks.noted, tasks(tmp_path, 5))
        assert log(tmp_path) == ["0", "1", "2", "3", "4"]
        place.stage("third", stage_tasks.noted, tasks(tmp_path))
        assert log(tmp_path) == ["0", "1", "2", "3"]


def test_a_stage_is_done_when_all_of_the_same_tasks_are(tmp_path: Path) -> None:
    with work(tmp_path / "w") as place:
        place.stage("first", stage_tasks.noted, tasks(tmp_path, 3))
    with work(tmp_path / "w") as place:
        assert place.is_done("first", tasks(tmp_path, 3))
        assert not place.is_done("first", tasks(tmp_path, 2)), "other tasks than before"
        assert not place.is_done("first", tasks(tmp_path, 4))
        assert not place.is_done("second", tasks(tmp_path, 3))
    (tmp_path / "w" / "first" / "00001.json").unlink()
    with work(tmp_path / "w") as place:
        assert not place.is_done("first", tasks(tmp_path, 3)), "one is missing"


def test_a_kill_while_stages_are_removed_leaves_no_marks(tmp_path: Path) -> None:
    with work(tmp_path / "w") as place:
        place.stage("first", stage_tasks.noted, tasks(tmp_path))
        place.stage("second", stage_tasks.noted, tasks(tmp_path))
    log(tmp_path)
    (tmp_path / "w" / "second" / "tasks").unlink()
    with work(tmp_path / "w") as place:
        place.stage("first", stage_tasks.noted, tasks(tmp_path))
        place.stage("second", stage_tasks.noted, tasks(tmp_path))
    assert log(tmp_path) == ["0", "1", "2", "3"]


def test_the_lock_is_removed_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a kill in between, only a folder with its lock is known to be ours."""
    with work(tmp_path / "w") as place:
        place.stage("first", stage_tasks.noted, tasks(tmp_path, 2))
        seen: list[tuple[str, bool, int]] = []
        removed = files.shutil.rmtree

        def watched(path: Path, **how: Any) -> None:
            seen.append((path.name, (tmp_path / "w" / files.WORK_LOCK).exists(), len(list((tmp_path / "w").iterdir()))))
            removed(path, **how)

        monkeypatch.setattr(files.shutil, "rmtree", watched)
        place.remove()
    assert [name for name, _, _ in seen] == ["first", "w"] and all(locked for _, locked, _ in seen)
    assert seen[-1][2] == 1, "nothing else is left when the lock goes"
    assert not (tmp_path / "w").exists()


def test_sets_in_tasks_are_the_same_in_every_run(tmp_path: Path) -> None:
    with work(tmp_path / "w") as place:
        place.stage("first", stage_tasks.noted, tasks(tmp_path, steps={"b", "a", "c"}, where=tmp_path))
        assert place.is_done("first", tasks(tmp_path, steps=frozenset(("c", "b", "a")), where=str(tmp_path)))


def test_a_damaged_mark_is_no_mark(tmp_path: Path) -> None:
    with work(tmp_path / "w") as place:
        place.stage("first", stage_tasks.noted, tasks(tmp_path))
    log(tmp_path)
    (tmp_path / "w" / "first" / "00002.json").write_bytes(b"")  # as a power cut leaves it
    with work(tmp_path / "w") as place:
        place.stage("first", stage_tasks.noted, tasks(tmp_path))
    assert log(tmp_path) == ["2"]


def test_halves_of_files_are_removed(tmp_path: Path) -> None:
    with work(tmp_path / "w") as place:
        place.stage("first", stage_tasks.noted, tasks(tmp_path))
    half = tmp_path / "w" / "first" / "00001.kept.0a1b2c3d.part"
    half.touch()
    with work(tmp_path / "w"):
        assert not half.exists()


# --- whose folder it is


def test_two_runs_cannot_share_a_folder(tmp_path: Path) -> None:
    with work(tmp_path / "w"):
        for resume in (False, True):
            with pytest.raises(LatxaError, match="another run is using it"):
                work(tmp_path / "w", resume=resume)
    work(tmp_path / "w").close()


def test_a_file_system_without_locks_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", flock)
    with work(tmp_path / "w") as one:
        assert one.stage("a", len, ["ab"], here=True) == [2]


@pytest.mark.parametrize("resume", [False, True])
def test_what_is_not_ours_is_not_touched(resume: bool, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "thesis.txt").write_text("years of it")
    with pytest.raises(UsageError, match="holds other things"):
        work(tmp_path / "w", resume=resume)
    assert [path.name for path in (tmp_path / "w").iterdir()] == ["thesis.txt"]
    with pytest.raises(LatxaError, match="cannot be made"):
        work(tmp_path / "w" / "thesis.txt", resume=resume)


def test_an_empty_folder_will_do_and_is_removed(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    with work(tmp_path / "w") as place:
        place.stage("first", stage_tasks.noted, tasks(tmp_path))
        place.remove()
    assert not (tmp_path / "w").exists()


def test_a_kill_before_the_plan_was_written_leaves_a_folder_of_ours(tmp_path: Path) -> None:
    with work(tmp_path / "w") as place:
        place.stage("first", stage_tasks.noted, tasks(tmp_path))
    (tmp_path / "w" / "plan.json").unlink()
    with work(tmp_path / "w") as place:
        assert not place.is_done("first", tasks(tmp_path))


# --- files


def test_a_file_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    save_bytes(path, b"old")
    with pytest.raises(RuntimeError), new_file(path) as file:
        file.write(b"new")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_one_line_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(LatxaError) as caught, new_file(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.message == f"{tmp_path}/file: cannot be written (No space left on device)"
    assert "--resume" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_folders_above_are_not_made(tmp_path: Path) -> None:
    with pytest.raises(LatxaError, match="No such file"):
        save_bytes(tmp_path / "not mounted" / "stage" / "file", b"")
    assert list(tmp_path.iterdir()) == []


def test_arrays_come_back(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    arrays = [
        np.arange(12, dtype="<u8").reshape(3, 4), np.zeros((28, 0), np.uint64),
        np.array([(1, 2.5)], [("a", "<u4"), ("b", "<f4")]), np.zeros(0, [("a", "<u4")]),
    ]  # fmt: skip
    for array in arrays:
        save_array(tmp_path / "a.npy", array)
        for mapped in (False, True):
            again = load_array(tmp_path / "a.npy", mapped=mapped)
            assert again.dtype == array.dtype and again.shape == array.shape and (again == array).all()
    save_array(tmp_path / "a.npy", arrays[0])
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-8])
    for mapped in (False, True):
        with pytest.raises(LatxaError, match="is not whole"):
            load_array(tmp_path / "a.npy", mapped=mapped)
    with pytest.raises(LatxaError, match="cannot be read"):
        load_array(tmp_path / "b.npy")


def test_a_full_disk_is_told_of_when_arrays_are_written(tmp_path: Path) -> None:
    import resource

    import numpy as np

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(LatxaError, match=r"cannot be written \(File too large"):
            save_array(tmp_path / "a.npy", np.zeros(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
