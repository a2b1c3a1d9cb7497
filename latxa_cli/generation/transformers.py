"""The transformers engine: any Hugging Face causal language model, on CPU or one GPU, in batches of similar length.

Sampling is our own, one uniform number a token from the request's seed: `generate` draws from one stream for the whole
batch, so that a record's text would depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy
import torch
import transformers
from transformers import GenerationConfig, LogitsProcessor, StoppingCriteria

from latxa_cli import chat
from latxa_cli.generation.engine import Completion, Decoding, EngineOptions, Request, gathered
from latxa_cli.model import load_model, load_tokenizer

BATCH_SIZE = 32
BATCHES_PER_WINDOW = 4  # requests are sorted by length within so many batches


def load(model: str, options: EngineOptions) -> TransformersEngine:
    """Load a model directory or hub name; raises LatxaError when it cannot be loaded."""
    tokenizer = load_tokenizer(model, trust_remote_code=options.trust_remote_code)
    network = load_model(model, device=options.device, trust_remote_code=options.trust_remote_code)
    return TransformersEngine(model, tokenizer, network.eval(), options.batch_size or BATCH_SIZE)


class TransformersEngine:
    """`batch_size` sequences at once; see `generation.engine.Engine`."""

    def __init__(self, name: str, tokenizer: Any, network: Any, batch_size: int) -> None:
        self.name, self.tokenizer, self.network, self.batch_size = name, tokenizer, network, batch_size
        self.window = batch_size * BATCHES_PER_WINDOW
        self.ends = chat.end_of_turn_ids(tokenizer, network.generation_config)
        # `generate` would fill what we leave open (repetition penalty, beams, …) from the model's own configuration.
        network.generation_config = GenerationConfig()
        self.begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        pad = next(token for token in (tokenizer.pad_token_id, *self.ends, 0) if token is not None)
        # Padding is masked, so that any token will do where the pad token has no embedding.
        self.pad = pad if pad < network.get_input_embeddings().num_embeddings else 0
        self.context = getattr(network.config.get_text_config(), "max_position_embeddings", None) or 1 << 30

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
        }

    def generate(self, requests: Iterable[Request | None]) -> Iterator[tuple[int, Completion]]:
        for window in gathered(requests, self.window):
            tokens: dict[int, list[int]] = {}
            for row, (place, request) in enumerate(window):
                try:
                    tokens[row] = self._tokenise(request)
                except chat.TemplateError as error:
                    yield place, Completion(str(error), "refused", 0, 0)
            order = sorted(tokens, key=lambda row: (repr(window[row][1].decoding), len(tokens[row])))
            for decoding, rows in _batches(order, [request.decoding for _, request in window], self.batch_size):
                prompts = [tokens[row] for row in rows]
                seeds = [window[row][1].seed for row in rows]
                for row, completion in zip(rows, self._complete(prompts, seeds, decoding), strict=True):
                    yield window[row][0], completion

    def _tokenise(self, request: Request) -> list[int]:
        """Return the tokens of a request, one at least; raises TemplateError when the chat template refuses it."""
        ids: list[int]
        if request.text is not None:
            plain = self.tokenizer(request.text, add_special_tokens=False, split_special_tokens=True, verbose=False)
            ids = self.begin + plain["input_ids"]
        else:
            written = request.prompt or ""
            if request.messages is not None:
                written = chat.render(self.tokenizer, list(request.messages), add_generation_prompt=True)
            ids = self.tokenizer(written, add_special_tokens=False, verbose=False)["input_ids"]
        return ids or self.begin or [self.pad]  # an empty prompt still needs a first token

    def _complete(self, prompts: list[list[int]], seeds: list[int], decoding: Decoding) -> Iterator[Completion]:
        """Yield a completion for each prompt of one batch, in their order."""
        fitting = [row for row, prompt in enumerate(prompts) if len(prompt) < self.context]
        drawn = self._continue([prompts[row] for row in fitting], [seeds[row] for row in fitting], decoding)
        ids_of = dict(zip(fitting, drawn, strict=True))
        for row, prompt in enumerate(prompts):
            if row not in ids_of:
                yield Completion("", "too long", len(prompt), 0)
                continue
            ids = ids_of[row]
            ended = bool(ids) and ids[-1] in self.ends
            text = self._text(ids[:-1] if ended else ids)
            places = [place for stop in decoding.stop if (place := text.find(stop)) >= 0]
            text = text[: min(places)] if places else text
            yield Completion(text, "stop" if ended or places else "length", len(prompt), len(ids))

    @torch.inference_mode()
    def _continue(self, prompts: list[list[int]], seeds: list[int], decoding: Decoding) -> list[list[int]]:
        """Return the new tokens of each prompt, the one that ended it included."""
        if not prompts:
            return []
        width = max(map(len, prompts))
        inputs = torch.full((len(prompts), width), self.pad)
        mask = torch.zeros_like(inputs)
        for row, prompt in enumerate(prompts):  # padded on the left: all rows grow at the same end
            inputs[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        limits = [min(decoding.max_tokens, self.context - len(prompt)) for prompt in prompts]
        stopping = _Stopping(width, limits, self.ends, self._stop_finder(decoding.stop))
        grown = self.network.generate(
            inputs.to(self.network.device),
            attention_mask=mask.to(self.network.device),
            generation_config=GenerationConfig(
                max_new_tokens=max(limits), do_sample=False, pad_token_id=self.pad, eos_token_id=self.ends or None
            ),
            logits_processor=[_Draw(width, seeds, decoding)] if decoding.temperature > 0 else [],
            stopping_criteria=[stopping],
        )
        return [ids[:length] for ids, length in zip(grown[:, width:].tolist(), stopping.lengths, strict=True)]

    def _text(self, ids: list[int]) -> str:
        # Special tokens stay visible: a role marker in the middle of a text is for the filters to see.
        text: str = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def _stop_finder(self, stops: tuple[str, ...]) -> Any:
        if not stops:
            return None
        ending = self._tokens_with(frozenset(stop[-1] for stop in stops))
        # A token holds a byte or more. Some more tokens, because what is decoded may lose its first space.
        longest = max(len(stop.encode()) for stop in stops) + 4

        def found(row: torch.Tensor) -> bool:
            ids = row[-longest:].tolist()
            return ids[-1] in ending and any(stop in self._text(ids) for stop in stops)

        return found

    @lru_cache(maxsize=8)  # noqa: B019  # the engine lives as long as the process
    def _tokens_with(self, characters: frozenset[str]) -> frozenset[int]:
        """Return the tokens that may end one of `characters`: those that hold it, and parts of a character."""
        wanted = characters | {"�"}
        texts = self.tokenizer.batch_decode([[token] for token in range(len(self.tokenizer))])
        return frozenset(token for token, text in enumerate(texts) if any(character in text for character in wanted))


def _batches(order: list[int], decodings: list[Decoding], size: int) -> Iterator[tuple[Decoding, list[int]]]:
    """Yield (decoding, rows): at most `size` neighbours in `order` that are decoded in the same way."""
    batch: list[int] = []
    for row in order:
        if batch and (len(batch) == size or decodings[row] != decodings[batch[0]]):
            yield decodings[batch[0]], batch
            batch = []
        batch.append(row)
    if batch:
        yield decodings[batch[0]], batch


class _Draw(LogitsProcessor):
    """Leaves one token of each row: drawn after temperature and top-p by the row's own uniform number for this step."""

    def __init__(self, width: int, seeds: list[int], decoding: Decoding) -> None:
        self.width, self.decoding = width, decoding
        # float32 numbers are below 1; a float64 number just below it would become 1.
        draws = [
            numpy.random.Generator(numpy.random.Philox(seed)).random(decoding.max_tokens, numpy.float32)
            for seed in seeds
        ]
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
