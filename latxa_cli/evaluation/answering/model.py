"""The harness's model around an engine: it writes answers, and compares letters where the engine can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lm_eval.api.model import LM

from latxa_cli.chat.rendering import TemplateError, render
from latxa_cli.chat.thinking import can_think
from latxa_cli.evaluation.answering.outcomes import Journal
from latxa_cli.evaluation.answering.respondent import Question, Respondent
from latxa_cli.evaluation.answering.wording import ChatText, Manner, Message, wording
from latxa_cli.evaluation.kept import Kept
from latxa_cli.evaluation.scoring.encoding import Encoder
from latxa_cli.generation.delivery import DECIDES
from latxa_cli.generation.engine import Completion, Decoding, Request
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import JsonObject

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    from latxa_cli.generation.engine import Engine

OTHER_WAY = "`--engine transformers` does it; or have the model write a letter: `--format generate`"
IMPOSSIBLE = float("-inf")  # the log-likelihood of a letter that is not among those that a server tells


class EngineModel(LM):
    """A model of the harness whose answers an engine gives.

    Attributes:
        respondent: the engine, and the answers that are kept.
        manner: how it is to answer.
        encoder: the tokenizer of an engine that runs the model itself: prompts have exactly one beginning. Else None.
        exact: the tasks whose number of tokens is part of their recipe: no room for thoughts is added.
        journal: what came of every item since this was emptied.
        cut: how many prompts lost their beginnings: none, since one that is too long is not answered.
    """

    cut = 0

    def __init__(self, engine: Engine, manner: Manner, *, seed: int, in_process: bool) -> None:
        super().__init__()
        self.respondent, self.manner = Respondent(engine, seed), manner
        self.tokenizer = engine.tokenizer
        self.encoder = Encoder(self.tokenizer, _first(self.tokenizer)) if in_process else None
        self.exact: frozenset[str] = frozenset()
        self.journal: Journal = {}

    @property
    def engine(self) -> Engine:
        """The engine."""
        return self.respondent.engine

    @property
    def kept(self) -> Kept:
        """Where answers are kept."""
        return self.respondent.kept

    @kept.setter
    def kept(self, kept: Kept) -> None:
        self.respondent.kept = kept

    def circumstances(self) -> JsonObject:
        """Return what every answer depends on beside its request."""
        facts = self.engine.facts()
        return {**{name: facts.get(name) for name in DECIDES}, **self.manner.facts()}

    # --- conversations

    @property
    def tokenizer_name(self) -> str:
        """Nothing: the harness asks for its own cache, which is not used."""
        return ""

    def apply_chat_template(self, chat_history: Sequence[Message], add_generation_prompt: bool = True) -> ChatText:
        """Return a conversation for `generate_until`; raises LatxaError for one whose answer is begun already."""
        messages = [{"role": turn["role"], "content": turn["content"]} for turn in chat_history]
        if not add_generation_prompt:
            raise LatxaError(
                "the task begins the model's answer itself (`gen_prefix`), which engines cannot go on with",
                hint="`--engine transformers` can; or `--no-chat`",
            )
        if self.encoder is None:
            return ChatText.plain(messages)
        try:
            text = render(self.tokenizer, messages, add_generation_prompt=True, thinking=self.manner.thinking)
        except TemplateError:  # the engine says so of each item
            return ChatText.plain(messages)
        return ChatText(text, messages)

    def _thinks(self, prompt: str) -> bool:
        """Whether the model thinks before it answers this prompt, or may."""
        if not isinstance(prompt, ChatText) or self.manner.thinking is False:
            return False
        return self.manner.thinking is True or self.tokenizer is None or can_think(self.tokenizer)

    # --- what the harness calls

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Return the answers to prompts; the empty string where there is none."""
        prompts = [request.args[0] for request in requests]
        tokens = self.encoder.texts(prompts) if self.encoder else [None] * len(prompts)
        questions = []
        for request, prompt, ids in zip(requests, prompts, tokens, strict=True):
            task, thinks = str(request.task_name), self._thinks(prompt)
            how = wording(request.args[1], task, self.manner, thinks=thinks, exact=task in self.exact)
            questions.append(Question(self._request(prompt, how.decoding, ids), how.ends))
        completions = self.respondent.answers(questions)
        for request, completion in zip(requests, completions, strict=True):
            self._note(request, completion)
        return [one.text if one.finish_reason in ("stop", "length") else "" for one in completions]

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return (log-likelihood, whether greedy) of each letter; the letters of an item are one request.

        Raises:
            LatxaError: the engine cannot, or the choices are more than letters.
        """
        items: dict[tuple[str, int, str], list[int]] = {}
        for number, request in enumerate(requests):
            items.setdefault((str(request.task_name), request.doc_id or 0, request.args[0]), []).append(number)
        if requests and not self.engine.weighs:
            raise self._cannot("compares no choices", str(requests[0].task_name))
        questions = [self._letters([requests[number] for number in numbers]) for numbers in items.values()]
        found: dict[int, tuple[float, bool]] = {}
        for numbers, completion in zip(items.values(), self.respondent.answers(questions), strict=True):
            self._note(requests[numbers[0]], completion)
            likelihoods = completion.likelihoods or (None,) * len(numbers)
            for number, value in zip(numbers, likelihoods, strict=True):
                written = completion.text.strip() == requests[number].args[1].strip()
                found[number] = (IMPOSSIBLE, False) if value is None else (value, written)
        return [found[number] for number in range(len(requests))]

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Raise LatxaError: engines tell the likelihoods of single tokens alone."""
        raise self._cannot("measures no perplexity", str(requests[0].task_name if requests else ""))

    # --- requests

    def _request(self, prompt: str, decoding: Decoding, tokens: list[int] | None, **more: Any) -> Request:
        ids = None if tokens is None else tuple(tokens)
        if isinstance(prompt, ChatText):
            return Request(decoding, messages=prompt.messages, thinking=self.manner.thinking, tokens=ids, **more)
        return Request(decoding, text=prompt, tokens=ids, **more)

    def _letters(self, requests: Sequence[Instance]) -> Question:
        """Return the question that compares the letters of one item.

        What all choices begin with alike is read with the prompt: the harness gives them the line break that ends a
        chat template. It adds the same to each log-likelihood, which are of the letters alone here.
        """
        prompt, task = requests[0].args[0], str(requests[0].task_name)
        choices = tuple(str(request.args[1]) for request in requests)
        tokens: list[int] | None = None
        ids: tuple[int, ...] = ()
        if self.encoder is None:
            single = all(len(choice.strip()) == 1 for choice in choices)
        else:
            encoded = self.encoder.pairs([(prompt, choice) for choice in choices])
            shared = encoded[0].continuation[:-1]
            tokens, ids = encoded[0].context + shared, tuple(one.continuation[-1] for one in encoded)
            single = all(one.context == encoded[0].context and one.continuation[:-1] == shared for one in encoded)
        if not single or len(choices) < 2:
            raise self._cannot("compares single letters alone", task)
        return Question(self._request(prompt, Decoding(1), tokens, choices=choices, choice_tokens=ids))

    def _cannot(self, what: str, task: str) -> LatxaError:
        name = self.engine.facts()["engine"]
        return LatxaError(f"the engine `{name}` {what}, and `{task}` asks for more", hint=OTHER_WAY)

    def _note(self, request: Instance, completion: Completion) -> None:
        self.journal.setdefault((str(request.task_name), request.doc_id or 0), []).append(completion)


class LocalModel(EngineModel):
    """A model whose choices our scorer compares, and whose answers an engine writes with the same network.

    Args:
        scorer: the harness's model of the network.
        engine: the engine of the same network.
        manner: how it is to answer.
        seed: that of the run.
    """

    def __init__(self, scorer: HFLM, engine: Engine, manner: Manner, *, seed: int) -> None:
        super().__init__(engine, manner, seed=seed, in_process=True)
        self.scorer = scorer
        self.model, self._device, self.max_length = scorer.model, scorer.device, scorer.max_length

    def apply_chat_template(self, chat_history: Sequence[Message], add_generation_prompt: bool = True) -> str:  # type: ignore[override]
        """Return a conversation as the template writes it."""
        if not add_generation_prompt:
            return str(self.scorer.apply_chat_template(list(chat_history), add_generation_prompt=False))
        return super().apply_chat_template(chat_history)

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return (log-likelihood, whether greedy) of each choice."""
        return self.scorer.loglikelihood(requests)  # type: ignore[no-any-return]

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Return the log-likelihood of each text."""
        return self.scorer.loglikelihood_rolling(requests)  # type: ignore[no-any-return]


def _first(tokenizer: Any) -> int:
    """Return the token from which a text without a prompt is predicted: BOS, else EOS."""
    found = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    return int(found if found is not None else tokenizer.pad_token_id or 0)
