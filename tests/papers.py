"""The repository's papers as the tests see them: which there are, and their commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import shell
from tiny import Latxa

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
# Made from code as a whole; that of families by a bench.
VERBS, RECORDS, FAMILIES = (ROOT / "recipes" / f"{name}.md" for name in ("verbs", "records", "families"))
# Guides that bring all their commands need.
WITHOUT_MODELS = (
    "corpus.md",
    "arena.md",
    "audit.md",
    "judging.md",
    "laptop.md",
    "new-language.md",
    "voting.md",
)
GUIDES = sorted(set((ROOT / "recipes").glob("*.md")) - {VERBS, RECORDS, FAMILIES})
ALL = [README, *GUIDES, VERBS, RECORDS, FAMILIES, *ROOT.glob("C*.md"), ROOT / "recipes" / "deepspeed" / "README.md"]

RUN = "sh"  # blocks of commands that a test runs
ELSEWHERE = "sh elsewhere"  # those that need a GPU, a hub, a server or a cluster: a test parses them


def blocks(paper: Path, kind: str) -> list[str]:
    """Return the blocks of commands of a paper, those of a list without its indentation."""
    found = re.findall(rf"^( *)```{kind}\n(.*?)^\1```$", paper.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def files(paper: Path) -> dict[str, str]:
    """Return the files that a paper shows, by path, which is the second word of a block: ```toml checks.toml."""
    kinds = re.findall(r"^ *```(\w+ [\w./-]+\.\w+)$", paper.read_text(encoding="utf-8"), re.MULTILINE)
    return {kind.partition(" ")[2]: "".join(blocks(paper, kind)) for kind in kinds}


def write_files(paper: Path, folder: Path) -> None:
    """Write the files that a paper shows, as a reader would."""
    for name, text in files(paper).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


ON_THE_QUICKSTART = [guide for guide in GUIDES if guide.name not in WITHOUT_MODELS and blocks(guide, RUN)]


def calls(block: str) -> Iterator[str]:
    """Yield every `latxa …` of a block, those of a pipe one by one, without what the shell does with its output."""
    for line in block.replace("\\\n", " ").splitlines():
        for part in line.partition(" # ")[0].split(" | "):
            command = part[part.find("latxa ") :] if re.match(r"(\S+ )*latxa ", part.strip()) else ""
            if command:
                yield command.partition(" > ")[0].strip()


def run(paper: Path, latxa: Latxa, folder: Path, *, but: tuple[str, ...] = ()) -> str:
    """Run the blocks of a paper, line by line from `folder` on, but for the lines `but`; return what they wrote.

    The files that the paper shows are there from the beginning. Each `cd` starts from `folder`, so that a reader may
    begin at any block.
    """
    written, start = "", folder
    write_files(paper, folder)
    for block in blocks(paper, RUN):
        for line in shell.lines(block):
            if line in but:
                continue
            if line.startswith("cd "):
                folder = start / line.removeprefix("cd ")
                continue
            ended = shell.run_line(line, latxa, folder)
            assert set(ended.codes) == {0}, f"{line}\n{ended.stderr.decode()}"
            written += ended.stdout.decode()
    return written
