"""The harness's model whose log-likelihoods come from `forward`; it generates as the harness's own does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from latxa_cli.evaluation.kept import Kept
from latxa_cli.evaluation.scoring.batches import Limits, batches, groups
from latxa_cli.evaluation.scoring.encoding import Encoded, Encoder
from latxa_cli.evaluation.scoring.forward import Layers, Network, Score
from latxa_cli.evaluation.scoring.rows import Request, Row, families, tree
from latxa_cli.generation.batch_memory import BatchMemory
from latxa_cli.stream.errors import LatxaError

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Tokens in one pass at most, where memory allows, and from which on it is efficient. Passes of 4,096 tokens were the
# fastest on a CPU core with 1.4 and 5 million parameters; larger ones leave its caches.
EFFICIENT = {"cpu": (4096, 1024), "cuda": (65536, 8192)}
MASK_BYTES = 5  # for each pair of tokens: the mask as truth values, and as numbers in the attention


class Scorer(HFLM):
    """A causal language model for the harness; raises UnfitError for one that only the harness's own can score.

    Args:
        network: the model.
        tokenizer: its tokenizer.
        most_rows: rows in one pass at most, where the user says.
        batch_size: sequences that are written at once.
        chat_template_args: variables of the chat template.

    Attributes:
        network: what reads the rows.
        encoder: what reads the texts.
        kept: answers that an interrupted run left, and where those of this run are kept.
        cut: how many prompts were longer than the context, and lost their beginnings.
    """

    def __init__(
        self,
        network: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        most_rows: int | None = None,
        batch_size: int = 16,
        chat_template_args: dict[str, Callable[[str], str]] | None = None,
    ) -> None:
        super().__init__(
            pretrained=network, tokenizer=tokenizer, batch_size=batch_size, chat_template_args=chat_template_args
        )
        self.network = Network(self.model)
        self.encoder = Encoder(self.tokenizer, self.prefix_token_id)
        self.memory = BatchMemory(self.model)
        self.most_rows = most_rows
        self.kept = Kept()
        self.cut = 0

    # --- what the harness calls

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return (log-likelihood, whether greedy) of each request's continuation after its prompt."""
        encoded = self.encoder.pairs([request.args for request in requests])
        self.encoder.check(
            [one.context for one, request in zip(encoded, requests, strict=True) if request.args[0].strip()]
        )
        items: dict[tuple[str | None, int | None], list[Request]] = {}
        self._count_cut(request.args[0] for request, one in zip(requests, encoded, strict=True) if self._is_long(one))
        for number, (request, one) in enumerate(zip(requests, encoded, strict=True)):
            items.setdefault((request.task_name, request.doc_id), []).append(self._request(number, one))
        return [*self._computed(list(items.values()))]

    def _loglikelihood_tokens(
        self,
        requests: list[tuple[tuple[str, str], list[int], list[int]]],
        disable_tqdm: bool = False,
        override_bs: int | None = None,
    ) -> list[tuple[float, bool]]:
        """Return (log-likelihood, whether greedy) of the tokens of each continuation after those of its prompt."""
        encoded = (Encoded(context, continuation) for _, context, continuation in requests)
        return [*self._computed([[self._request(number, one)] for number, one in enumerate(encoded)])]

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Return the log-likelihood of each text; one longer than the context is read in windows, as the harness does.

        The first token is predicted from BOS, which is not predicted itself.
        """
        texts = self.encoder.bare([request.args[0] for request in requests])
        windows: list[Request] = []
        owners = []
        for number, tokens in enumerate(texts):
            for window in get_rolling_token_windows(tokens, self.encoder.first, self.max_length, 1):
                windows.append(self._request(len(windows), Encoded(*make_disjoint_window(window))))
                owners.append(number)
        scores = self._computed([[window] for window in windows])
        totals = [0.0] * len(requests)
        for number, score in zip(owners, scores, strict=True):
            totals[number] += score.loglikelihood
        return totals

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Return the answers to prompts, in the passes in which the harness's own model writes them."""
        if not self.kept.active:
            return super().generate_until(requests, disable_tqdm)
        from tqdm import tqdm

        passes = self._passes(requests)
        answers: dict[int, str] = {}
        for numbers, keys in tqdm(passes, desc="answers"):
            texts = self.kept.of(keys)
            if texts is None:
                texts = [*super().generate_until([requests[number] for number in numbers], disable_tqdm=True)]
                self.kept.add(zip(keys, texts, strict=True))
            answers |= {number: str(text) for number, text in zip(numbers, texts, strict=True)}
        return [answers[number] for number in range(len(requests))]

    def _passes(self, requests: list[Instance]) -> list[tuple[list[int], list[str]]]:
        """Return (places, keys) of requests that are answered at once: with the same settings, the longest first.

        A request that is asked several times, for several draws, has a key each time.
        """
        tokens = self.encoder.texts([request.args[0] for request in requests])
        alike: dict[bytes, list[int]] = {}
        for number, request in enumerate(requests):
            alike.setdefault(repr(request.args[1]).encode(), []).append(number)
        times: Counter[tuple[bytes, str]] = Counter()
        passes = []
        for settings, numbers in alike.items():
            numbers.sort(key=lambda number: (-len(tokens[number]), requests[number].args[0]))
            for start in range(0, len(numbers), self.batch_size):
                part, keys = numbers[start : start + self.batch_size], []
                for number in part:
                    prompt = requests[number].args[0]
                    times[settings, prompt] += 1
                    count = str(times[settings, prompt]).encode()
                    keys.append(self.kept.key("generate", settings, prompt.encode(), count))
                passes.append((part, keys))
        return passes

    # --- requests

    def _is_long(self, one: Encoded) -> bool:
        return len(one.context) + len(one.continuation) > self.max_length + 1

    def _count_cut(self, prompts: Iterable[str]) -> None:
        self.cut += len(set(prompts))

    def _request(self, number: int, one: Encoded) -> Request:
        """Return a request; raises LatxaError for a continuation that is longer than the model's context."""
        kept = self.max_length + 1 - len(one.continuation)
        if kept < 1:
            raise LatxaError(
                f"a choice has {len(one.continuation):,} tokens, and the model's context {self.max_length:,}",
                hint="leave the item out, or take a model with a longer context",
            )
        context = self._ended(one.context, kept)
        tokens = np.array(context + one.continuation[:-1], np.int64)
        return Request(number, tokens, np.array(one.continuation, np.int64))

    def _ended(self, tokens: list[int], most: int) -> list[int]:
        """Return a prompt of `most` tokens at most: its end, after BOS where it begins with one."""
        if len(tokens) <= most:
            return tokens
        size = len(self.encoder.beginning)
        begun = self.encoder.beginning if tokens[:size] == self.encoder.beginning and size < most else []
        return begun + tokens[len(tokens) - most + len(begun) :]

    def tok_batch_encode(
        self,
        strings: list[str],
        padding_side: str = "left",
        left_truncate_len: int | None = None,
        truncation: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the tokens of prompts to answer, filled up to one length on their left, and the mask of that.

        Of one that is too long, BOS and the end are kept.
        """
        texts = self.encoder.texts(strings)
        most = left_truncate_len or max(map(len, texts))
        self._count_cut(string for string, tokens in zip(strings, texts, strict=True) if len(tokens) > most)
        texts = [self._ended(tokens, most) for tokens in texts]
        width = max(map(len, texts))
        filled = [[self.tokenizer.pad_token_id] * (width - len(tokens)) + tokens for tokens in texts]
        mask = [[0] * (width - len(tokens)) + [1] * len(tokens) for tokens in texts]
        return torch.tensor(filled), torch.tensor(mask)

    # --- passes

    def _computed(self, items: list[list[Request]]) -> list[Score]:
        """Return the score of every request, in their order."""
        from tqdm import tqdm

        total = sum(map(len, items))
        scores: dict[int, Score] = {}
        with tqdm(total=total, desc="log-likelihoods") as bar:
            for request, score in self._scored(items):
                scores[request.number] = score
                bar.update()
        return [scores[number] for number in range(total)]

    def _scored(self, items: list[list[Request]]) -> Iterator[tuple[Request, Score]]:
        longest = max((len(request.tokens) for item in items for request in item), default=1)
        limits = self._limits(longest)
        short, long = self._by_window(items)
        trees = not self.network.fault
        for part, branched in ((short, trees), (long, False)):
            for group in groups(families(part, trees=branched), share=branched):
                before: Layers | None = None
                for rows in batches(group, limits):
                    asked = [request for row in rows for request, _ in row.wanted]
                    keys = [self._key(request) for request in asked] if self.kept.active else []
                    if keys and (answers := self.kept.of(keys)):
                        yield from zip(asked, (Score(*answer) for answer in answers), strict=True)
                        continue
                    if before is None and len(group.beginning):
                        before = self.network.read(group.beginning)
                    scored = self._halved(rows, before)
                    self.kept.add((key, score) for key, (_, score) in zip(keys, scored, strict=bool(keys)))
                    yield from scored

    def _key(self, request: Request) -> str:
        return self.kept.key("loglikelihood", request.tokens.tobytes(), request.targets.tobytes())

    def _by_window(self, items: list[list[Request]]) -> tuple[list[list[Request]], list[list[Request]]]:
        """Return the items that fit into what each layer sees, and those that do not, whose masks would be wrong."""
        window = self.network.window
        if window is None:
            return items, []
        fits = [all(len(request.tokens) < window for request in item) for item in items]
        return (
            [item for item, fit in zip(items, fits, strict=True) if fit],
            [item for item, fit in zip(items, fits, strict=True) if not fit],
        )

    def _halved(self, rows: Sequence[Row], before: Layers | None) -> list[tuple[Request, Score]]:
        """Return the scores of `rows`, in two passes where the memory does not hold one; a row is divided too."""
        try:
            return list(self.network.scores(rows, before))
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        if len(rows) == 1:
            requests = [request for request, _ in rows[0].wanted]
            if len(requests) == 1:
                hint = "a device with more memory, or fewer `--few-shot`"
                raise LatxaError("the memory does not hold one request of the task", hint=hint)
            half, start = len(requests) // 2, rows[0].start
            first, second = [tree(requests[:half], start)], [tree(requests[half:], start)]
        else:
            half = len(rows) // 2
            first, second = [*rows[:half]], [*rows[half:]]
        return self._halved(first, before) + self._halved(second, before)

    def _limits(self, longest: int) -> Limits:
        """Return what a pass may hold, by the memory that is free now, for sequences of `longest` tokens at most."""
        free, size = self.memory.free(), self.model.dtype.itemsize
        most, enough = EFFICIENT["cuda" if self.device.type == "cuda" else "cpu"]
        of_token = self.memory.bytes_of_token + MASK_BYTES * longest
        of_place = self.network.vocabulary * (2 * size)
        # Half of the memory for what the layers hold, a quarter for scores; the rest is for what this leaves out.
        return Limits(
            max(1, min(most, int(free / 2 / of_token))), max(1, int(free / 4 / of_place)), enough, self.most_rows
        )


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch found no memory; on the CPU it raises a plain RuntimeError."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text or "out of memory" in text
