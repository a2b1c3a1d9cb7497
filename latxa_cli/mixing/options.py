"""The options of a mix as a whole; those of each input are in `inputs`."""

from __future__ import annotations

from dataclasses import dataclass

from latxa_cli.mixing.files import WORKER_BYTES
from latxa_cli.stages import cores
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.sizes import show_size


@dataclass(frozen=True)
class MixOptions:
    """The options of the whole mix, which are the flags of the same names; `set_aside` stands for `--rejects`."""

    memory: int
    workers: int | None = None
    seed: int = 0
    split: str = "train"
    take: int | None = None
    take_tokens: int | None = None
    tokenizer: str | None = None
    scores: str | None = None
    criterion: str | None = None
    embedder: str | None = None
    clusters: int | None = None
    device: str | None = None
    set_aside: bool = False

    def check(self) -> None:
        """Raise UsageError for options that contradict each other, and for too little memory."""
        if self.take is not None and self.take_tokens is not None:
            raise UsageError("`--take` and `--take-tokens` are two budgets", hint="give one of them")
        if self.take_tokens is not None and self.tokenizer is None:
            raise UsageError("`--take-tokens` needs `--tokenizer`")
        if self.memory < WORKER_BYTES:
            raise UsageError(
                f"`--memory {show_size(self.memory)}` is too little", hint=f"{show_size(WORKER_BYTES)} will do"
            )

    @property
    def processes(self) -> int:
        """The number of processes: as many as asked for, else one per core, as far as the memory allows."""
        return self.workers or max(1, min(cores(), self.memory // WORKER_BYTES - 1))
