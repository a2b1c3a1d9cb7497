"""Requests as token ids, and new token ids as completions: the same for every engine that runs a model itself."""

from __future__ import annotations

from typing import Any

from latxa_cli.chat.pre_query import pre_query
from latxa_cli.chat.rendering import TemplateError, render
from latxa_cli.chat.special import begin_of_text
from latxa_cli.chat.thinking import can_think, split_thought
from latxa_cli.chat.turn_end import end_of_turn_ids
from latxa_cli.generation.engine import Completion, Request
from latxa_cli.stream.errors import LatxaError


class Codec:
    """Translates between requests, completions and token ids, and counts the tokens.

    `ends`: the tokens that end a completion; `pad`: a token that has an embedding, for places where any will do;
    `context`: the most tokens that prompt and completion have together.
    """

    def __init__(self, tokenizer: Any, generation_config: Any, *, vocabulary: int, context: int) -> None:
        """`generation_config`: the model's own; `vocabulary`: how many tokens have an embedding."""
        self.tokenizer, self.vocabulary, self.context = tokenizer, vocabulary, context
        self.ends = end_of_turn_ids(tokenizer, generation_config)
        self.begin = begin_of_text(tokenizer)
        pad = next(token for token in (tokenizer.pad_token_id, *self.ends, 0) if token is not None)
        self.pad = pad if pad < vocabulary else 0
        self.prompt_tokens = self.completion_tokens = 0
        self._can_think = can_think(tokenizer)
        self._before_answers: dict[bool | None, str] = {}  # what the template writes there, by what it is told

    def encode(self, request: Request) -> list[int] | Completion:
        """Return the tokens of a request, one at least, or what it comes to where the model cannot go on with it.

        Raises LatxaError where no request can be answered: the model has no token that ends a turn, or lacks tokens of
        its tokenizer.
        """
        if request.text is None and not self.ends:
            raise LatxaError(
                "the model has no token that ends its answers", hint="name its `eos_token` in `tokenizer_config.json`"
            )
        try:
            ids = self._tokenise(request)
        except TemplateError as error:
            return Completion(str(error), "refused", 0, 0)
        if max(ids) >= self.vocabulary:
            raise LatxaError(
                f"the tokenizer gives the token {max(ids)}, and the model has {self.vocabulary} embeddings",
                hint="is the tokenizer the model's own?",
            )
        return ids if len(ids) < self.context else Completion("", "too long", len(ids), 0)

    def _tokenise(self, request: Request) -> list[int]:
        ids: list[int]
        if request.tokens is not None:
            ids = list(request.tokens)
        elif request.text is not None:
            plain = self.tokenizer(request.text, add_special_tokens=False, split_special_tokens=True, verbose=False)
            ids = self.begin + plain["input_ids"]
        else:
            written = request.prompt or ""
            if request.messages is not None:
                written = render(
                    self.tokenizer, list(request.messages), add_generation_prompt=True, thinking=request.thinking
                )
            ids = self.tokenizer(written, add_special_tokens=False, verbose=False)["input_ids"]
        first = self.pad if self.tokenizer.bos_token_id is None else self.tokenizer.bos_token_id
        return ids or [first]  # an empty prompt still needs a first token

    def room(self, request: Request, prompt: list[int]) -> int:
        """Return how many tokens may follow the prompt, one at least."""
        return min(request.decoding.max_tokens, self.context - len(prompt))

    def completion(self, request: Request, prompt_tokens: int, ids: list[int]) -> Completion:
        """Return what the new tokens `ids` come to: they go on to the one that ended them, or that ended a stop string.

        A token or string that ended them is cut off.
        """
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += len(ids)
        ended = bool(ids) and ids[-1] in self.ends
        text = self.decode(ids[:-1] if ended else ids)
        places = [place for stop in request.decoding.stop if (place := text.find(stop)) >= 0]
        text = text[: min(places)] if places else text
        thought = ""
        if request.messages is not None and self._can_think:
            thought, text = split_thought(text, self._before_answer(request.thinking))
        return Completion(text, "stop" if ended or places else "length", prompt_tokens, len(ids), thought)

    def _before_answer(self, thinking: bool | None) -> str:
        if thinking not in self._before_answers:
            self._before_answers[thinking] = pre_query(self.tokenizer, thinking=thinking).suffix
        return self._before_answers[thinking]

    def decode(self, ids: list[int]) -> str:
        # Special tokens stay visible: a role marker in the middle of a text is for the filters to see.
        text: str = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text
