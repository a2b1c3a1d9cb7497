"""One pass through a causal language model: rows that may be trees, after a beginning that was read before.

Only the places that predict a target reach the head of the network: the scores of all places over the whole vocabulary
are what fills the memory elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from latxa_cli.evaluation.scoring.rows import Numbers, Request, Row, tree

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel

# What a model of unknown code raises that cannot be called in this way.
REFUSALS = (
    RuntimeError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError, AssertionError,
)  # fmt: skip

Layers = list[tuple[torch.Tensor, torch.Tensor]]  # the keys and values of each layer, for one row
SAME = 1e-4  # log-likelihoods of short sequences that differ by rounding alone
SLICE = 1 << 24  # scores that are normalised at once


class Score(NamedTuple):
    """The log-likelihood of a request's targets, and whether each of them is the likeliest token."""

    loglikelihood: float
    greedy: bool


class UnfitError(Exception):
    """A model whose scores cannot be had place by place."""


class Network:
    """A causal language model as the scorer uses it; raises UnfitError for one that does not fit.

    Attributes:
        fault: why it reads each sequence for itself: tried on the model at hand, empty for one that reads trees.
        window: the number of tokens that some layer sees at most, or None.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        head = model.get_output_embeddings()
        if not isinstance(head, torch.nn.Module):
            raise UnfitError("it has no head of its own")
        self.model = model
        self.device = model.device
        self.head = head
        self.vocabulary = model.config.get_text_config().vocab_size
        self.window = _window(model.config)
        self.fault = self._try()

    # --- passes

    def read(self, beginning: Numbers) -> Layers:
        """Return the keys and values of a beginning, for one row."""
        from transformers import DynamicCache

        cache = DynamicCache()
        with self._heads([0], [0]):
            self.model(input_ids=self._tensor(beginning)[None], past_key_values=cache, use_cache=True)
        read = [(getattr(layer, "keys", None), getattr(layer, "values", None)) for layer in cache.layers]
        layers = [(keys, values) for keys, values in read if keys is not None and values is not None]
        if len(layers) < len(read):
            raise ValueError("a layer has no keys and values")
        return layers

    def scores(self, rows: Sequence[Row], before: Layers | None = None) -> Iterator[tuple[Request, Score]]:
        """Yield the score of every request in `rows`, which go on after the beginning `before`."""
        numbers = [
            (row, place) for row, one in enumerate(rows) for place in sorted({int(p) for _, w in one.wanted for p in w})
        ]
        index = {place: number for number, place in enumerate(numbers)}
        wanted = [(row, request, places) for row, one in enumerate(rows) for request, places in one.wanted]
        sources = [index[row, int(place)] for row, _, places in wanted for place in places]
        targets = np.concatenate([request.targets for _, request, _ in wanted])
        logits = self._logits(rows, before, numbers)
        likelihoods, greedy = _chosen(logits, self._tensor(np.array(sources)), self._tensor(targets))
        at = 0
        for _, request, _ in wanted:
            stop = at + len(request.targets)
            yield request, Score(float(likelihoods[at:stop].sum()), bool(greedy[at:stop].all()))
            at = stop

    def _logits(self, rows: Sequence[Row], before: Layers | None, places: Sequence[tuple[int, int]]) -> torch.Tensor:
        """Return the scores over the vocabulary at these (row, place)s, one a line."""
        width, shift = max(len(row.tokens) for row in rows), before[0][0].shape[-2] if before else 0
        tokens = np.zeros((len(rows), width), np.int64)
        for number, row in enumerate(rows):
            tokens[number, : len(row.tokens)] = row.tokens
        arguments: dict[str, object] = {"input_ids": self._tensor(tokens), "use_cache": False}
        if before or not all(row.is_chain for row in rows):
            depths = np.zeros((len(rows), width), np.int64)
            for number, row in enumerate(rows):
                depths[number, : len(row.tokens)] = row.depths
            arguments |= {"position_ids": self._tensor(depths), "attention_mask": self._mask(rows, width, shift)}
        if before:
            arguments |= {"past_key_values": _repeated(before, len(rows)), "use_cache": True}
        with self._heads([row for row, _ in places], [place for _, place in places]):
            logits: torch.Tensor = self.model(**arguments).logits
        return logits[0]

    def _mask(self, rows: Sequence[Row], width: int, shift: int) -> torch.Tensor:
        """Return what each token sees: the beginning, the branches above its own, and its branch up to itself."""
        mask = np.zeros((len(rows), 1, width, shift + width), bool)
        lower = np.tri(width, dtype=bool)
        mask[..., :shift] = True
        mask[..., 0] = True  # what fills up a short row must see something, or it becomes NaN, which spreads
        for number, row in enumerate(rows):
            own = mask[number, 0, :, shift:]
            for start, stop, above in row.branches:
                own[start:stop, 0] = False
                own[start:stop, start:stop] = lower[: stop - start, : stop - start]
                for begun, ended in above:
                    own[start:stop, begun:ended] = True
        allowed = torch.from_numpy(mask).to(self.device)
        if self.model.config._attn_implementation == "sdpa":
            return allowed
        shut = torch.finfo(self.model.dtype).min
        return torch.zeros(allowed.shape, dtype=self.model.dtype, device=self.device).masked_fill_(~allowed, shut)

    @contextmanager
    def _heads(self, rows: list[int], places: list[int]) -> Iterator[None]:
        """Let only these places of these rows through the head, as one row."""

        def chosen(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            return inputs[0][rows, places][None], *inputs[1:]

        hook = self.head.register_forward_pre_hook(chosen)
        try:
            with torch.inference_mode():
                yield
        finally:
            hook.remove()

    def _tensor(self, numbers: Numbers) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(numbers)).to(self.device)

    # --- the trial

    def _try(self) -> str:
        """Return why trees do not work with this model, or an empty text; raises UnfitError.

        - The scores of one sequence must be those of a plain call.
        - A tree of two branches after a beginning must give what the plain sequences give: far closer to that than
          what the second branch gives when it sees the first.
        """
        draw = np.random.default_rng(0).integers(0, self.vocabulary, 12)
        shared, branches = draw[:6], (draw[6:9], draw[9:12])
        requests = [
            Request(number, np.concatenate([shared, branch])[:-1], branch) for number, branch in enumerate(branches)
        ]
        mixed = Request(0, np.concatenate([shared, *branches])[:-1], branches[1])
        try:
            plain = [self._alone(request) for request in requests]
            far = abs(self._alone(mixed) - plain[1])
            own = [next(score for _, score in self.scores([tree([request])])) for request in requests]
        except REFUSALS as error:
            raise UnfitError(f"its scores cannot be had place by place ({type(error).__name__})") from None
        if not _near([score.loglikelihood for score in own], plain, far):
            raise UnfitError("its head gives other scores when it is called place by place")
        try:
            tried = dict(self.scores([tree(requests, 3)], self.read(shared[:3])))
        except REFUSALS as error:
            return f"it takes no mask of a tree ({type(error).__name__})"
        found = [next(score.loglikelihood for one, score in tried.items() if one is request) for request in requests]
        return "" if _near(found, plain, far) else "it does not give the same in a tree as for each sequence"

    def _alone(self, request: Request) -> float:
        """Return the log-likelihood of a request from the scores of a plain call."""
        with torch.inference_mode():
            scores = self.model(input_ids=self._tensor(request.tokens)[None], use_cache=False).logits[0]
        places = torch.arange(request.first, len(request.tokens), device=self.device)
        likelihoods, _ = _chosen(scores, places, self._tensor(request.targets))
        return float(likelihoods.sum())


def _near(found: Sequence[float], expected: Sequence[float], far: float) -> bool:
    """Whether figures are the same but for rounding, where `far` is how much a wrong one is off."""
    off = max(abs(a - b) for a, b in zip(found, expected, strict=True))
    return off <= SAME or off < far / 8


def _repeated(before: Layers, times: int) -> Cache:
    """Return a cache with a beginning for each of so many rows."""
    from transformers import DynamicCache

    return DynamicCache([(keys.expand(times, -1, -1, -1), values.expand(times, -1, -1, -1)) for keys, values in before])


def _chosen(logits: torch.Tensor, sources: torch.Tensor, targets: torch.Tensor) -> tuple[Numbers, Numbers]:
    """Return the log-probability of each target at its line of `logits`, and whether it is the likeliest token.

    The harness's function is used: over 49,152 scores it is off by 4e-6 on a
    CPU, which `logsumexp` is not, and which would add up to 4e-4 between the two over a choice of 100 tokens.
    """
    likelihoods = torch.empty(len(sources), dtype=torch.float32, device=logits.device)
    greedy = torch.empty(len(sources), dtype=torch.bool, device=logits.device)
    size = max(1, SLICE // logits.shape[1])
    for start in range(0, len(logits), size):
        part = torch.log_softmax(logits[start : start + size], -1, dtype=torch.float32)
        inside = (sources >= start) & (sources < start + size)
        lines, tokens = sources[inside] - start, targets[inside]
        likelihoods[inside] = part[lines, tokens]
        greedy[inside] = part.argmax(-1)[lines] == tokens
    return likelihoods.double().cpu().numpy(), greedy.cpu().numpy()


def _window(config: object) -> int | None:
    """Return the number of tokens that a layer of the network sees at most, None where every layer sees all."""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    kinds = getattr(text, "layer_types", None)
    sizes = [getattr(text, name, None) for name in ("sliding_window", "attention_chunk_size")]
    if kinds is not None and not any("sliding" in kind or "chunked" in kind for kind in kinds):
        return None
    if kinds is None and getattr(text, "use_sliding_window", True) is False:
        return None
    return min((size for size in sizes if isinstance(size, int)), default=None)
