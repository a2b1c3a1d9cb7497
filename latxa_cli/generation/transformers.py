"""The transformers engine: any Hugging Face causal language model, on CPU or one GPU, in batches of similar length.

Sampling is our own, one uniform number a token from the request's seed: `generate` draws from one stream for the whole
batch, so that a record's text would depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import numpy
import torch
import transformers
from transformers import GenerationConfig, LogitsProcessor, StoppingCriteria

from latxa_cli.chat.rendering import set_date
from latxa_cli.generation.batch_memory import BatchMemory
from latxa_cli.generation.choosing import Chooser
from latxa_cli.generation.engine import Completion, Decoding, EngineOptions, Request, windows
from latxa_cli.generation.lines import Choices, choices_of
from latxa_cli.generation.prompts import Codec
from latxa_cli.model import load_model
from latxa_cli.tokenizer import load_tokenizer

BATCH_SIZE = 32
COLDEST = 1e-4  # below this temperature the likeliest token is taken: scores divided by less would overflow
BATCHES_PER_WINDOW = 4  # requests are sorted by length within so many batches


def load(model: str, options: EngineOptions) -> TransformersEngine:
    """Load a model directory or hub name; raises LatxaError when it cannot be loaded."""
    tokenizer = load_tokenizer(model, trust_remote_code=options.trust_remote_code)
    set_date(tokenizer, options.day)
    network = load_model(model, device=options.device, trust_remote_code=options.trust_remote_code)
    return TransformersEngine(model, tokenizer, network.eval(), options.batch_size or BATCH_SIZE)


class _Task(NamedTuple):
    """A request, its position, and its tokens."""

    place: int
    request: Request
    prompt: list[int]


class TransformersEngine:
    """`batch_size` sequences at once, as far as the memory goes; see `generation.engine.Engine`."""

    constrains = weighs = False

    def __init__(self, name: str, tokenizer: Any, network: Any, batch_size: int) -> None:
        self.name, self.tokenizer, self.network, self.batch_size = name, tokenizer, network, batch_size
        self.window = batch_size * BATCHES_PER_WINDOW
        self.memory = BatchMemory(network)
        self.codec = Codec(
            tokenizer,
            network.generation_config,
            vocabulary=network.get_input_embeddings().num_embeddings,
            context=getattr(network.config.get_text_config(), "max_position_embeddings", None) or 1 << 30,
        )
        self.context = self.codec.context
        self.chooser = Chooser(self.codec.decode, len(tokenizer), self.codec.ends)
        # `generate` would fill what we leave open (repetition penalty, beams, …) from the model's own configuration.
        network.generation_config = GenerationConfig()

    def facts(self) -> dict[str, Any]:
        dtype = str(self.network.dtype).removeprefix("torch.")
        return {
            "model": self.name,
            "revision": getattr(self.network.config, "_commit_hash", None),
            "engine": "transformers",
            "engine_version": transformers.__version__,
            "torch_version": torch.__version__,
            "dtype": dtype,
            "device": str(self.network.device),
            # Logits of the same text differ by some 1e-6 between batches (float32 on a CPU), so near-ties may flip.
            "batch_invariant": False,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }

    @property
    def prompt_tokens(self) -> int:
        return self.codec.prompt_tokens

    @property
    def completion_tokens(self) -> int:
        return self.codec.completion_tokens

    def generate(self, requests: Iterable[Request | None]) -> Iterator[tuple[int, Completion]]:
        for window in windows(requests, self.window, self.batch_size):
            tasks: list[_Task] = []
            for place, request in window:
                prompt = self.codec.encode(request)
                if isinstance(prompt, Completion):
                    yield place, prompt
                else:
                    tasks.append(_Task(place, request, prompt))
            tasks.sort(key=lambda task: (repr(task.request.decoding), len(task.prompt)))
            for batch in self._batches(tasks):
                for task, ids in zip(batch, self._continue_as_memory_allows(batch), strict=True):
                    if ids is None:
                        yield task.place, Completion(self._too_large(task), "failed", len(task.prompt), 0)
                    else:
                        yield task.place, self.codec.completion(task.request, len(task.prompt), ids)

    def _batches(self, tasks: list[_Task]) -> Iterator[list[_Task]]:
        """Yield neighbours that are decoded in the same way, as many at a time as `batch_size` and memory allow."""
        free = self.memory.free()
        for _, alike in groupby(tasks, key=lambda task: task.request.decoding):
            batch: list[_Task] = []
            for task in alike:  # the longer ones come later: this one makes the batch as wide as it is itself
                width = len(task.prompt) + self.codec.room(task.request, task.prompt)
                if batch and (len(batch) >= self.batch_size or self.memory.of_rows(len(batch) + 1, width) > free):
                    yield batch
                    batch = []
                batch.append(task)
            yield batch

    def _too_large(self, task: _Task) -> str:
        return (
            f"`{self.name}`: one sequence of {len(task.prompt):,} tokens and its continuation do not fit in the memory "
            f"of `{self.network.device}` (a smaller `--max-tokens`, or another `--device`?)"
        )

    def _continue_as_memory_allows(self, batch: list[_Task]) -> Sequence[list[int] | None]:
        """Do the work of `_continue`, in halves where the memory of the GPU does not suffice for all; None for a task
        for which it does not suffice alone."""
        try:
            return self._continue(batch)
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                return [None]
        # Here, and not while the error is at hand, which keeps alive what did not fit.
        self.batch_size = half = len(batch) // 2
        return [*self._continue_as_memory_allows(batch[:half]), *self._continue_as_memory_allows(batch[half:])]

    @torch.inference_mode()
    def _continue(self, batch: list[_Task]) -> list[list[int]]:
        """Return the new tokens of each task, which are decoded in the same way: the one that ended it included."""
        prompts, decoding = [task.prompt for task in batch], batch[0].request.decoding
        width = max(map(len, prompts))
        # Padding is masked, so that any token will do where the pad token has no embedding.
        inputs = torch.full((len(prompts), width), self.codec.pad)
        mask = torch.zeros_like(inputs)
        for row, prompt in enumerate(prompts):  # padded on the left: all rows grow at the same end
            inputs[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        limits = [self.codec.room(task.request, task.prompt) for task in batch]
        stopping = _Stopping(width, limits, self.codec.ends, self._stop_finder(decoding.stop))
        seeds = [task.request.seed for task in batch]
        choices = [choices_of(task.request.schema) if task.request.schema else None for task in batch]
        processors: list[LogitsProcessor] = [_Choose(width, choices, self.chooser)] if any(choices) else []
        if decoding.temperature > COLDEST:
            processors.append(_Draw(width, seeds, decoding, max(limits)))
        grown = self.network.generate(
            inputs.to(self.network.device),
            attention_mask=mask.to(self.network.device),
            generation_config=GenerationConfig(
                max_new_tokens=max(limits),
                do_sample=False,
                pad_token_id=self.codec.pad,
                eos_token_id=self.codec.ends or None,
            ),
            logits_processor=processors,
            stopping_criteria=[stopping],
        )
        return [ids[:length] for ids, length in zip(grown[:, width:].tolist(), stopping.lengths, strict=True)]

    def _stop_finder(self, stops: tuple[str, ...]) -> Any:
        if not stops:
            return None
        ending = self._tokens_with(frozenset(stop[-1] for stop in stops))
        # A token holds a byte or more. Some more tokens, because what is decoded may lose its first space.
        longest = max(len(stop.encode()) for stop in stops) + 4

        def found(row: torch.Tensor) -> bool:
            ids = row[-longest:].tolist()
            return ids[-1] in ending and any(stop in self.codec.decode(ids) for stop in stops)

        return found

    @lru_cache(maxsize=8)  # noqa: B019  # the engine lives as long as the process
    def _tokens_with(self, characters: frozenset[str]) -> frozenset[int]:
        """Return the tokens that may end one of `characters`: those that hold it, and parts of a character."""
        wanted = characters | {"�"}
        texts = self.tokenizer.batch_decode([[token] for token in range(len(self.tokenizer))])
        return frozenset(token for token, text in enumerate(texts) if any(character in text for character in wanted))


class _Choose(LogitsProcessor):
    """Leaves the tokens that go on with what a row is to be made of; all of them where it is not so begun."""

    def __init__(self, width: int, choices: Sequence[Choices | None], chooser: Chooser) -> None:
        self.width, self.choices, self.chooser = width, choices, chooser

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores = scores.clone()
        for row, choices in enumerate(self.choices):
            if choices and (allowed := self.chooser.allowed(choices, input_ids[row, self.width :].tolist())):
                kept = scores[row, allowed]
                scores[row] = -torch.inf
                scores[row, allowed] = kept
        return scores


class _Draw(LogitsProcessor):
    """Leaves one token of each row: drawn after temperature and top-p by the row's own uniform number for this step."""

    def __init__(self, width: int, seeds: list[int], decoding: Decoding, steps: int) -> None:
        self.width, self.decoding = width, decoding
        # float32 numbers are below 1; a float64 number just below it would become 1.
        draws = [numpy.random.Generator(numpy.random.Philox(seed)).random(steps, numpy.float32) for seed in seeds]
        self.uniform = torch.from_numpy(numpy.stack(draws))

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        uniform = self.uniform[:, input_ids.shape[1] - self.width, None].to(scores.device)
        probability = (scores.float() / self.decoding.temperature).softmax(-1)
        if self.decoding.top_p < 1.0:  # keep the fewest tokens that reach top-p (and ties with the last of them)
            ordered = probability.sort(descending=True).values
            kept = (ordered.cumsum(-1) - ordered < self.decoding.top_p).sum(-1, keepdim=True).clamp(min=1)
            probability = probability.where(probability >= ordered.gather(1, kept - 1), 0.0)
        # Along the vocabulary, not by probability: there a difference in the last digit would swap two neighbours.
        total = probability.cumsum(-1).where(probability > 0, 0.0)
        token = (total > uniform * total.amax(-1, keepdim=True)).int().argmax(-1, keepdim=True)
        return torch.full_like(scores, -torch.inf).scatter_(1, token, 0.0)


class _Stopping(StoppingCriteria):
    """Ends each row at its own limit, at an end token or at a stop string, and remembers its length (in new tokens)."""

    def __init__(self, width: int, limits: list[int], ends: list[int], found_stop: Any) -> None:
        self.width, self.limits, self.ends, self.found_stop = width, limits, frozenset(ends), found_stop
        self.lengths = [0] * len(limits)
        self.done = [False] * len(limits)

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        new = input_ids[:, self.width :]
        last = new[:, -1].tolist()
        for row, done in enumerate(self.done):
            if done:
                continue
            self.lengths[row] = length = new.shape[1]
            self.done[row] = (
                length >= self.limits[row]
                or last[row] in self.ends
                or bool(self.found_stop and self.found_stop(new[row]))
            )
        return torch.tensor(self.done, device=input_ids.device)
