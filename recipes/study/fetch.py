"""Fetch what a study needs of the internet, on a machine that has it; recipes/fetch.sh calls this.

    python3 fetch.py hub MADE NAME [dataset]          a model or data from the hub; what broke off is continued
    python3 fetch.py template MADE MODEL              the chat template of a model, for models that have none
    python3 fetch.py benchmarks MADE MODEL FLAG…      what `latxa eval MODEL FLAG…` asks, into the hub's cache
    python3 fetch.py own MADE                         nothing: a file of yours, which nobody else can write

What is missing is said in one line each, with what to do. Wants `huggingface_hub`, as installed with latxa.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from job import Job

# Copies of the weights in formats that latxa does not read, which double a download.
IGNORED = ["original/*", "*.pth", "*.pt", "*.bin", "*.gguf", "*.h5", "*.msgpack", "*.onnx", "onnx/*"]


class Missing(Exception):  # noqa: N818
    """What is missing, and what to do; one line."""


def hub(made: str, name: str, kind: str = "model") -> None:
    """Download a repository of the hub to the folder `made`; raises Missing."""
    from huggingface_hub import snapshot_download

    size = size_on_hub(name, kind)
    part = Path(f"{made}.part")
    here = sum(file.stat().st_size for file in part.rglob("*") if file.is_file())
    if (free := free_bytes(part)) < size - here:
        raise Missing(f"{made}: {name} takes {size / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free")
    try:
        snapshot_download(name, repo_type=kind, local_dir=part, ignore_patterns=IGNORED if kind == "model" else None)
    except network_errors() as error:
        raise Missing(f"{made}: {name} broke off ({first_line(error)}): the same line again continues") from None
    shutil.rmtree(part / ".cache", ignore_errors=True)
    part.rename(made)


def size_on_hub(name: str, kind: str) -> int:
    """Return the bytes that a download takes; raises Missing where the hub does not give it."""
    from fnmatch import fnmatch

    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    api = HfApi()
    page = f"{api.endpoint}/{'datasets/' if kind == 'dataset' else ''}{name}"
    try:
        info = api.repo_info(name, repo_type=kind, files_metadata=True)
        api.auth_check(name, repo_type=kind)
    except GatedRepoError:
        raise Missing(f"{name} is gated: accept its terms at {page}, then `hf auth login`") from None
    except RepositoryNotFoundError:
        raise Missing(f"the hub has no {kind} {name}, or not for you: `hf auth whoami` tells who you are") from None
    except network_errors() as error:
        raise Missing(f"{api.endpoint} does not give {name}: {first_line(error)}") from None
    ignored = IGNORED if kind == "model" else []
    return sum(
        file.size or 0 for file in info.siblings or []
        if not any(fnmatch(file.rfilename, pattern) for pattern in ignored)
    )  # fmt: skip


def network_errors() -> tuple[type[Exception], ...]:
    """Return what goes wrong on the way to the hub: also errors of the library that its client is built on."""
    from huggingface_hub.errors import HfHubHTTPError

    return (*HfHubHTTPError.__bases__, OSError)


def template(made: str, model: str) -> None:
    """Write the chat template of a model directory to the file `made`; raises Missing."""
    file, settings = Path(model, "chat_template.jinja"), Path(model, "tokenizer_config.json")
    if file.exists():
        text = file.read_text(encoding="utf-8")
    else:
        text = json.loads(settings.read_bytes()).get("chat_template") if settings.exists() else None
    if not isinstance(text, str):
        raise Missing(f"{made}: {model} has no chat template")
    replace(made, text)


def benchmarks(made: str, model: str, *flags: str) -> None:
    """Load the benchmarks once, so that the hub's cache has them, and write down what they are; raises Missing."""
    replace(made, preview(made, model, *flags))


def preview(made: str, model: str, *flags: str) -> str:
    """Return what `latxa eval --dry-run` says; raises Missing."""
    done = subprocess.run(
        ["latxa", "eval", model, *flags, "--dry-run"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise Missing(f"{made}: {first_line(done.stderr.removeprefix('latxa: '))}")
    return done.stderr


def own(made: str) -> None:
    """Say that a file is still to be written; raises Missing."""
    raise Missing(f"{made}: is yours to write (recipes/cluster.md)")


KINDS = {"hub": hub, "template": template, "benchmarks": benchmarks, "own": own}


def missing(jobs: Sequence[Job], disk: float) -> Iterator[str]:
    """Yield a line for all that the jobs of the stage `fetch` have not fetched; `disk`: bytes that the study writes."""
    to_come = 0
    for job in jobs:
        kind, made, *words = shlex.split(job.command)[2:]
        try:
            if not job.done():
                if kind == "hub":
                    to_come += (size := size_on_hub(*words, *(["model"] if len(words) == 1 else [])))
                    yield f"{made}: not here; {words[0]} takes {size / 1e9:,.1f} GB"
                elif kind == "own":
                    own(made)
                else:
                    yield f"{made}: not here"
            elif kind == "benchmarks":  # a cache may be cleared
                preview(made, *words, "--offline")
        except Missing as error:
            yield str(error) if str(error).startswith(made) else f"{made}: {error}"
    if (free := free_bytes(Path.cwd())) < disk + to_come:
        yield f"disk: {free / 1e9:,.0f} GB are free, and the study takes {(disk + to_come) / 1e9:,.0f} GB"


def free_bytes(path: Path) -> int:
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def replace(made: str, text: str) -> None:
    part = Path(f"{made}.part")
    part.write_text(text, encoding="utf-8")
    part.rename(made)


def first_line(error: object) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def main() -> int:
    kind, *words = sys.argv[1:]
    try:
        KINDS[kind](*words)
    except Missing as error:
        print(f"fetch: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
