"""Completions: the files in `completions/` are what the app prints, and they complete in the real shells.

To write the files again: `python tests/test_completions.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "completions"
FILES = {"bash": "latxa.bash", "zsh": "_latxa", "fish": "latxa.fish"}
BIN = Path(sys.executable).parent

# Each prints, a line each, what a line that the user has begun can become; the line stands in $LINE.
BASH = """
source "$1"
read -ra COMP_WORDS <<< "$LINE"
[[ $LINE == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_latxa_completion latxa
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = "source $argv[1]; complete --do-complete $LINE | cut -f 1"


def environment(home: Path, **more: str) -> dict[str, str]:
    return {
        "HOME": str(home),
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "TERM": "dumb",
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        **more,
    }


def run(command: list[str], home: Path, **more: str) -> str:
    done = subprocess.run(command, env=environment(home, **more), capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


def script(shell: str) -> str:
    """What the app prints for `shell`; zsh wants `#compdef` on the first line."""
    printed = subprocess.run(
        [BIN / "latxa"],
        env=os.environ | {"_LATXA_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return printed.stdout.strip() + "\n"


def needs(shell: str) -> str:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"`{shell}` is not installed")
    return path


def offers(shell: str, line: str, source: Path, home: Path) -> set[str]:
    """What bash or fish offers for `line` after reading the completion script `source`."""
    if shell == "bash":
        command = [needs("bash"), "--norc", "-c", BASH, "bash", str(source)]
    else:
        command = [needs("fish"), "--no-config", "-c", FISH, str(source)]
    return set(run(command, home, LINE=line).split())


@pytest.mark.parametrize("shell", FILES)
def test_the_file_is_current(shell: str) -> None:
    assert (FOLDER / FILES[shell]).read_text() == script(shell)


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_verbs_flags_and_values_complete(shell: str, tmp_path: Path) -> None:
    def offered(line: str) -> set[str]:
        return offers(shell, line, FOLDER / FILES[shell], tmp_path)

    assert offered("latxa tr") == {"translate", "train"}
    assert {"corpus", "arena-score", "report"} <= offered("latxa ")
    assert offered("latxa mix --re") == {"--rejects", "--resume"}
    assert offered("latxa report --format m") == {"markdown"}


def test_after_an_unknown_verb_no_error_is_shown(tmp_path: Path) -> None:
    offers("bash", "latxa nonsense --", FOLDER / FILES["bash"], tmp_path)  # `run` looks at stderr


def test_zsh_completes_at_its_line_editor(tmp_path: Path) -> None:
    """A zsh in a pseudo-terminal gets keys; the script leaves with 0 when the letters that were missing appear."""
    keys = f"""
    zmodload zsh/zpty
    zpty shell {needs("zsh")} -f -i
    zpty -w shell 'autoload -Uz compinit; compinit -u -D; source {FOLDER / FILES["zsh"]}; bindkey "^I" complete-word'
    zpty -w shell 'print rea""dy'
    zpty -r shell seen '*ready*' || exit 1
    zpty -w -n shell $'latxa tran\\t'
    zpty -r shell seen '*slate*' || exit 2
    zpty -w -n shell $'\\x15latxa mix --var\\t'
    zpty -r shell seen '*iant*' || exit 3
    zpty -d shell
    """
    run([needs("zsh"), "-f", "-c", keys], tmp_path)


@pytest.mark.parametrize(
    ("shell", "installed"),
    [("bash", ".bash_completions/latxa.sh"), ("zsh", ".zfunc/_latxa"), ("fish", ".config/fish/completions/latxa.fish")],
)
def test_install_completion(shell: str, installed: str, tmp_path: Path) -> None:
    # The shell is found out from the parent process: `; true` keeps it there.
    without_settings = {"bash": "--norc", "zsh": "-f", "fish": "--no-config"}[shell]
    run([needs(shell), without_settings, "-c", "latxa --install-completion; true"], tmp_path)
    assert (tmp_path / installed).read_text().strip() == script(shell).strip()
    if shell == "bash":
        assert offers("bash", "latxa tr", tmp_path / ".bashrc", tmp_path) == {"translate", "train"}


if __name__ == "__main__":
    for name, file in FILES.items():
        (FOLDER / file).write_text(script(name))
