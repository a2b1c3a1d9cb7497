"""Golden cases: what `latxa` writes, says and leaves behind, as files that are reviewed when they change.

A case is a folder `cases/VERB/NAME` with a file `command` and its inputs. It is run in a copy of that folder, in which
`inputs` is a copy of `cases/inputs`, the inputs that many cases share.

    command     lines as at a shell (`shell.py`): calls of `latxa`, `|`, `< FILE` and `> FILE`. `#` begins a comment;
                `# needs: model` puts the models of the fixture `tiny_models` there, as `base` and `trained`;
                `# not recorded: FILE` leaves out a file whose bytes depend on the machine
    expected/   exit: the exit codes, a line for each line of `command`; stdout, stderr: of all its lines together
                (not there: empty); and every file that was made or changed, so that what should have gone is seen too.
                Compressed files are unpacked, of other binary files there is the hash

    python tests/test_cases.py [VERB/NAME …]    makes the expected files anew; `git diff` shows what is to be reviewed
"""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import shell
import tiny
import zstandard
from tiny import Latxa

CASES = Path(__file__).with_name("cases")
SHARED = CASES / "inputs"
OWN_USE = ".work"  # folders of intermediate files, which are left where `--resume` may need them
NEEDS_MODEL = "# needs: model"
UNPACK = {".gz": gzip.decompress, ".zst": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)}


def _fewer_digits(found: re.Match[str]) -> str:
    return f"{float(found[0]):.6g}"


# What differs from run to run or from machine to machine, and what stands in its place.
SUBSTITUTIONS = [
    (r'"started": "[^"]*"', '"started": "TIME"'),  # the clock
    (r'"date": "[^"]*"', '"date": "DAY"'),  # the same
    (r'"seconds": [\d.e-]+', '"seconds": "SECONDS"'),  # how fast the machine is
    (r"\b[\d,]+\.\d s\b", "SECONDS s"),  # the same, in what is said
    (r'"python": "[^"]*"', '"python": "VERSION"'),  # of what is installed
    (r'"version": "[^"]*"', '"version": "VERSION"'),  # ours, which a release changes
    (r'"outputs": \[[^]]*\]', '"outputs": "FILES"'),  # their hashes: the files themselves are looked at
    (r"\blatxa \d+\.\d+\.\d+", "latxa VERSION"),  # the same, in cards
    (r'("argv": \[\s*)"[^"]*"', r'\1"latxa"'),  # where the command is installed
    (r"-?\d+\.\d{9,}(e-?\d+)?", _fewer_digits),  # how the processor adds up shows in the last digits
]


def names() -> list[str]:
    """Return the cases, as VERB/NAME."""
    return sorted(str(path.parent.relative_to(CASES)) for path in CASES.glob("*/*/command"))


@pytest.mark.parametrize("name", names())
def test_case(name: str, latxa: Latxa, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    models = request.getfixturevalue("tiny_models") if needs_model(name) else None
    came, expected = run(name, latxa, tmp_path / "case", models), read_expected(name)
    for file in sorted({*came, *expected}):
        assert came.get(file) == expected.get(file), f"{file} of {name}; `python tests/test_cases.py {name}` remakes it"


def test_cases_pin_every_verb_without_a_model() -> None:
    verbs = [name.partition("/")[0] for name in names()]
    assert len(verbs) >= 60
    assert min(verbs.count(verb) for verb in ("corpus", "profile", "mix", "judge", "report")) >= 3


# --- running a case --------------------------------------------------------------------------------------------------


def needs_model(name: str) -> bool:
    return NEEDS_MODEL in (CASES / name / "command").read_text().splitlines()


def run(name: str, latxa: Latxa, folder: Path, models: Path | None) -> dict[str, str]:
    """Run a case in `folder`, which is made; return {file in `expected`: its text}."""
    shutil.copytree(CASES / name, folder, ignore=shutil.ignore_patterns("expected", "command"))
    shutil.copytree(SHARED, folder / "inputs")
    for model in ("base", "trained") if models else ():
        (folder / model).symlink_to(models / model)  # type: ignore[operator]
    before = contents(folder)
    text = {"exit": "", "stdout": "", "stderr": ""}
    script = (CASES / name / "command").read_text(encoding="utf-8")
    for line in shell.lines(script):
        ended = shell.run_line(line, latxa, folder)
        text["exit"] += " ".join(map(str, ended.codes)) + "\n"
        text["stdout"] += ended.stdout.decode()
        text["stderr"] += ended.stderr.decode()
    after = {file: data for file, data in contents(folder).items() if f"# not recorded: {file}\n" not in script}
    text |= dict(as_text(file, data) for file, data in after.items() if before.get(file) != data)
    text |= {file + ".removed": "\n" for file in before if file not in after}
    return {file: stable(shown, folder) for file, shown in text.items() if shown or file not in ("stdout", "stderr")}


def contents(folder: Path) -> dict[str, bytes]:
    """Return {name: bytes} of the files in `folder`; of folders that are empty, or for a verb's own use, the name and
    `/`."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if OWN_USE in (parent.suffix for parent in name.parents):
            continue
        if path.is_file():
            found[str(name)] = path.read_bytes()
        elif name.suffix == OWN_USE or not any(path.iterdir()):
            found[f"{name}/"] = b""
    return found


def as_text(name: str, data: bytes) -> tuple[str, str]:
    """Return the file of `expected` for what a case left, and its text."""
    if name.endswith("/"):
        return name.rstrip("/"), "a folder\n"
    if unpack := UNPACK.get(Path(name).suffix):
        name, data = name + ".unpacked", unpack(data)
    try:
        return name, data.decode()
    except UnicodeDecodeError:
        return name + ".sha256", f"{hashlib.sha256(data).hexdigest()}, {len(data):,} bytes\n"


def stable(text: str, folder: Path) -> str:
    """Return `text` without what differs from run to run."""
    text = text.replace(str(folder.resolve()), "FOLDER").replace(str(folder), "FOLDER")
    for pattern, replacement in SUBSTITUTIONS:
        text = re.sub(pattern, replacement, text)
    return text


def read_expected(name: str) -> dict[str, str]:
    folder = CASES / name / "expected"
    return {str(path.relative_to(folder)): path.read_bytes().decode() for path in folder.rglob("*") if path.is_file()}


# --- making the expected files anew ----------------------------------------------------------------------------------


def remake(chosen: list[str]) -> None:
    def latxa(*words: str, stdin: bytes = b"", cwd: Path, timeout: float = 600) -> subprocess.CompletedProcess[bytes]:
        command = [tiny.BINARY, *words]
        return subprocess.run(command, input=stdin, cwd=cwd, timeout=timeout, capture_output=True, check=False)

    with tempfile.TemporaryDirectory() as temporary:
        models = Path(temporary) / "models"
        for number, name in enumerate(chosen or names()):
            if needs_model(name) and not models.exists():
                tiny.make_models(models, latxa)
            made = run(name, latxa, Path(temporary) / str(number), models if needs_model(name) else None)
            shutil.rmtree(CASES / name / "expected", ignore_errors=True)
            for file, text in made.items():
                path = CASES / name / "expected" / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text.encode())


if __name__ == "__main__":
    remake(sys.argv[1:])
