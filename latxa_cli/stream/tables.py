"""Reading TOML files that a flag names: of tasks, tags, prompts; from latxa's own folder or from the user's."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, TypeVar

from latxa_cli.stream.errors import LatxaError, UsageError, nearest

Made = TypeVar("Made")


def names_in(folder: Path) -> list[str]:
    """Return the names of the files in a folder, such as those that come with latxa."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def find_files(flag: str, names: Iterable[str], own: Path) -> list[Path]:
    """Return the files that values of `flag` mean: a name in the folder `own`, a `.toml` file, or a folder of them.

    Raises UsageError for what is none of these, and for two files of the same name.
    """
    what, found = flag.removeprefix("--"), []
    for name in names:
        path = Path(name)
        if not name:
            raise UsageError(f"`{flag}` is empty", hint=nearest("", names_in(own)) or "name one, or a `.toml` file")
        if name in names_in(own):
            files = [own / f"{name}.toml"]
        elif path.is_dir():
            files = sorted(path.glob("*.toml"))
            if not files:
                raise UsageError(f"`{flag} {name}` is a folder without `.toml` files")
        elif path.suffix == ".toml":
            files = [path]
        else:
            raise UsageError(
                f"there is no {what} `{name}`", hint=nearest(name, names_in(own)) or "or name a `.toml` file"
            )
        found += files
    stems = [path.stem for path in found]
    if twice := next((stem for stem in stems if stems.count(stem) > 1), None):
        raise UsageError(f"two {what}s are called `{twice}`", hint=f"a {what} is called by its file's name")
    return found


def own_files(flag: str, names: Iterable[str], own: Path) -> list[Path]:
    """Return those of the files that values of `flag` mean which are not latxa's own. Raises as `find_files`."""
    return [path for path in find_files(flag, names, own) if path.parent != own]


def read_table(path: Path, known: Collection[str], make: Callable[[str, dict[str, Any]], Made]) -> Made:
    """Return what `make` makes of the name and the table of a file, whose keys are all `known`.

    Raises as `load_toml`, and LatxaError for another key and where `make` raises ValueError.
    """
    table = load_toml(path)
    for key in table:
        if key not in known:
            raise LatxaError(f"{path}: there is no setting `{key}`", hint=nearest(key, sorted(known)))
    try:
        return make(path.stem, table)
    except ValueError as error:
        raise LatxaError(f"{path}: {error}") from None


def load_toml(path: Path) -> dict[str, Any]:
    """Return the contents of a file; raises UsageError where it cannot be read, LatxaError where it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"`{path}` cannot be read: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LatxaError(f"{path}: is not TOML ({error})") from None
