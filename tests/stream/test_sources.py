"""`[NAME=]SOURCE`: which files a source is, and what is wrong with it, before anything is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from latxa_cli import hub
from latxa_cli.stream import inputs
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.sources import Source, left_unread, parse_sources

CRAWLS = ["crawls/a.parquet", "crawls/b-c.txt.zst", "crawls/b/1.ndjson", "crawls/b/2.jsonl.gz"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with files of all kinds."""
    for name in (
        "eu.jsonl", "wiki.2024.jsonl.zst", "a=b.jsonl", "data.json", "dump.dat", "part-00000", "[x].jsonl",
        "crawls/b/2.jsonl.gz", "crawls/b/1.ndjson", "crawls/a.parquet", "crawls/b-c.txt.zst", "crawls/notes.md",
        "crawls/info.json", "crawls/.hidden.jsonl", "crawls/.git/x.jsonl", "crawls/eu.jsonl.part",
        "crawls/eu.jsonl.work/spool/0.jsonl.zst", "crawls/eu.jsonl.manifest.json", "empty/readme.md",
        "crawls/table.parquet.gz",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    (tmp_path / "nothing").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def only(argument: str) -> Source:
    (source,) = parse_sources([argument])
    return source


@pytest.mark.parametrize(
    ("argument", "name", "files"),
    [
        ("eu.jsonl", "eu", ["eu.jsonl"]),
        ("./wiki.2024.jsonl.zst", "wiki.2024", ["./wiki.2024.jsonl.zst"]),
        ("data.json", "data", ["data.json"]),
        ("a=b.jsonl", "a=b", ["a=b.jsonl"]),
        ("./a=b.jsonl", "a=b", ["./a=b.jsonl"]),
        ("[x].jsonl", "[x]", ["[x].jsonl"]),
        ("crawls/*/*.jsonl.gz", "crawls", ["crawls/b/2.jsonl.gz"]),
        ("crawls/b-*.txt.zst", "b", ["crawls/b-c.txt.zst"]),
        ("crawls/**", "crawls", [*CRAWLS, "crawls/info.json"]),
        ("crawls/?", "crawls", ["crawls/b/1.ndjson", "crawls/b/2.jsonl.gz"]),
        ("crawls", "crawls", CRAWLS),
        ("crawls/b/../", "crawls", ["crawls/b/../" + file.removeprefix("crawls/") for file in CRAWLS]),
        ("-", "stdin", ["-"]),
        ("hf:HiTZ/latxa-corpus", "latxa-corpus", ["hf:HiTZ/latxa-corpus"]),
        ("hf:HiTZ/latxa-corpus/euscrawl:test", "latxa-corpus", ["hf:HiTZ/latxa-corpus/euscrawl:test"]),
        ("hf:wikipedia:train", "wikipedia", ["hf:wikipedia:train"]),
    ],
)
def test_what_a_source_is_and_what_it_is_called(
    argument: str, name: str, files: list[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "can_be_reached", lambda: True)
    monkeypatch.setattr(inputs.os, "isatty", lambda _: False)
    source = only(argument)
    assert (source.name, list(source.files), source.named) == (name, files, False)
    named = only(f"my corpus={argument}")
    assert (named.name, list(named.files), named.named) == ("my corpus", files, True)


def test_a_glob_in_the_current_folder_is_called_by_it(place: Path) -> None:
    source = only("*[ub].jsonl")
    assert (source.name, source.files) == (place.name, ("a=b.jsonl", "eu.jsonl"))


def test_files_that_are_not_read_are_named(place: Path) -> None:
    unread = ("crawls/info.json", "crawls/notes.md", "crawls/table.parquet.gz")  # what is hidden or ours is not seen
    assert only("crawls").ignored == unread
    assert sorted(only("crawls/*").ignored) == [*unread[1:]]  # `info.json` is asked for
    assert only("eu.jsonl").ignored == ()
    names = "`info.json`, `notes.md`, `table.parquet.gz`"
    hint = "a `.json` file is read where it is named"
    assert left_unread(only("crawls")) == f"crawls: 3 files left unread: {names}; {hint}"
    assert left_unread(only("eu.jsonl")) == ""


def test_many_files_that_are_not_read_are_counted_and_some_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.JSONL").touch()
    for number in range(5):
        (tmp_path / f"{number}.csv").touch()
    source = only(str(tmp_path))
    assert source.files == (f"{tmp_path}/a.JSONL",)
    assert left_unread(source).endswith("5 files left unread: `0.csv`, `1.csv`, `2.csv`, `3.csv`, `4.csv`")
    for number in (5, 6):
        (tmp_path / f"{number}.csv").touch()
    assert left_unread(only(str(tmp_path))).endswith("`3.csv`, `4.csv` and 2 more")


def test_names_of_text_files_are_relative_to_the_source(place: Path) -> None:
    roots = {argument: only(argument).root for argument in ("crawls", "crawls/b*", "crawls/b-c.txt.zst", "eu.jsonl")}
    assert roots == {"crawls": "crawls", "crawls/b*": "crawls", "crawls/b-c.txt.zst": "crawls", "eu.jsonl": "."}


def test_sources_keep_their_order(place: Path) -> None:
    assert [source.name for source in parse_sources(["z=crawls", "eu.jsonl", "a=data.json"])] == ["z", "eu", "a"]


def test_a_pipe_needs_no_ending(place: Path) -> None:
    os.mkfifo("pipe")
    assert only("pipe").files == ("pipe",)


def test_links_are_followed_and_a_file_is_taken_once(place: Path) -> None:
    (place / "crawls" / "latest.ndjson").symlink_to("b/1.ndjson")
    (place / "crawls" / "b" / "up").symlink_to("..")
    (place / "elsewhere").mkdir()
    (place / "elsewhere" / "far.jsonl").touch()
    (place / "crawls" / "far").symlink_to("../elsewhere")
    assert only("crawls").files == (*CRAWLS, "crawls/far/far.jsonl")


WRONG = {
    "no such file": (["none.jsonl"], LatxaError, "none.jsonl: no such file"),
    "no such file, named": (["x=none.jsonl"], LatxaError, "none.jsonl: no such file"),
    "empty folder": (["nothing"], LatxaError, "nothing: there is no file in this folder"),
    "nothing to read": (["empty"], LatxaError, "empty: none of the 1 files there can be read"),
    "glob of nothing": (["*.tsv"], LatxaError, "*.tsv: there is no such file"),
    "unknown ending": (["dump.dat"], UsageError, "`dump.dat` is of no kind that is read"),
    "no ending": (["part-00000"], UsageError, "`part-00000` is of no kind that is read"),
    "packed Parquet": (["crawls/table.parquet.gz"], UsageError, "is of no kind that is read"),
    "no name": (["=eu.jsonl"], UsageError, "`=eu.jsonl` has no name"),
    "no source": (["eu="], UsageError, "`eu=` has no source"),
    "nothing at all": ([""], UsageError, "`` has no source"),
    "no name of its own": (["/*"], UsageError, "`/*` has no name of its own"),
    "two of a name": (["eu.jsonl", "eu=data.json"], UsageError, "two sources have the name `eu`"),
    "two of a default name": (["crawls", "crawls/*.parquet"], UsageError, "two sources have the name `crawls`"),
    "one file twice": (
        ["eu.jsonl", "x=./eu.jsonl"],
        UsageError,
        "`./eu.jsonl` is in two sources, `eu.jsonl` and `x=./",
    ),
    "one file in a folder": (["crawls", "crawls/a.parquet"], UsageError, "`crawls/a.parquet` is in two sources"),
    "stdin twice": (["-", "x=-"], UsageError, "stdin is in two sources"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told(what: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs.os, "isatty", lambda _: False)
    arguments, kind, message = WRONG[what]
    if what == "no name of its own":
        monkeypatch.setattr("glob.glob", lambda *_, **__: [str(place / "eu.jsonl")])
    with pytest.raises(kind) as caught:
        parse_sources(arguments)
    assert type(caught.value) is kind
    assert message in caught.value.message
    assert caught.value.hint or what in ("one file twice", "one file in a folder", "stdin twice") or "such" in message


def test_a_terminal_is_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs.os, "isatty", lambda _: True)
    with pytest.raises(UsageError, match="stdin is a terminal"):
        parse_sources(["-"])


def test_a_folder_that_cannot_be_read_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(top: str, *, onerror: Callable[[OSError], None], **_: object) -> Iterator[object]:
        onerror(PermissionError(13, "Permission denied", f"{top}/b"))
        yield from ()

    monkeypatch.setattr(os, "walk", refuse)
    with pytest.raises(LatxaError, match=r"crawls/b: cannot be read \(Permission denied\)"):
        parse_sources(["crawls"])


def test_a_name_that_is_not_utf8_is_told(place: Path) -> None:
    (place / "crawls" / "a\udcff.jsonl").touch()
    with pytest.raises(UsageError, match="is not UTF-8"):
        parse_sources(["crawls"])


def test_a_folder_whose_name_is_not_utf8_needs_another(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "a\udcff").mkdir()
    (place / "a\udcff" / "1.txt").touch()
    monkeypatch.chdir(place / "a\udcff")
    with pytest.raises(UsageError, match=r"`\.` has no name of its own"):
        parse_sources(["."])
    assert [source.name for source in parse_sources(["docs=."])] == ["docs"]
