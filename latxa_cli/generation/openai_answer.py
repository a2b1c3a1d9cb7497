"""What an OpenAI-compatible server answers, read as a completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latxa_cli.chat.thinking import START_OF_THINKING, split_thought
from latxa_cli.generation.budget import Budget
from latxa_cli.generation.engine import Completion
from latxa_cli.generation.http import Server, TransientFailure
from latxa_cli.generation.openai_form import ENDINGS, count, is_count
from latxa_cli.stream.errors import LatxaError


class AnswerReader:
    """Reads the answers of `server`.

    `before_answer`: what the chat template writes there, where the model may think aloud and its tokenizer is known.
    """

    def __init__(self, server: Server, budget: Budget) -> None:
        self.server, self.budget = server, budget
        self.before_answer: str | None = None

    def read(self, answer: Any, choices: tuple[str, ...] = ()) -> Completion:
        """Return the completion of an answer, with the likelihoods of `choices`.

        Raises TransientFailure or ValueError (see `Server.ask`), LatxaError for a server that lacks what the run needs.
        """
        if isinstance(answer, dict) and answer.get("error"):
            raise TransientFailure(f"answers an error: {self.server.reason(answer)}")
        found = answer.get("choices") if isinstance(answer, dict) else None
        if not isinstance(found, list):
            raise ValueError("there is no list of `choices`")
        if not found:
            raise TransientFailure("gave an empty list of choices")
        choice = found[0]
        message = choice.get("message", {"content": choice.get("text", 0)}) if isinstance(choice, dict) else {}
        text = message.get("content", 0) if isinstance(message, dict) else 0
        if not isinstance(text, str | None):
            raise ValueError("the choice has no text")
        thought = message.get("reasoning") or message.get("reasoning_content")  # vLLM; SGLang, llama.cpp, DeepSeek
        if not isinstance(thought, str):
            thought, text = self._split_thought(text or "") if "message" in choice else ("", text)
        ending = choice.get("finish_reason")
        if not isinstance(ending, str) or ending not in ENDINGS:
            raise TransientFailure(f"ended a text by `{self.server.quoted(str(ending))}`")
        reason = ENDINGS[ending]
        used = answer.get("usage") or {}
        prompt, completion = count(used, "prompt_tokens"), count(used, "completion_tokens")
        if self.budget.limit is not None and not (
            is_count(used, "prompt_tokens") and is_count(used, "completion_tokens")
        ):
            raise LatxaError(
                f"`{self.server.url}` does not say how many tokens it used (`usage`): `--max-cost` cannot be kept"
            )
        if reason == "length" and used and not completion:  # the prompt is just as long as the context
            return Completion("", "too long", prompt, 0)
        likelihoods = self._likelihoods(choice, choices) if choices and reason != "filtered" else ()
        return Completion(text or "", reason, prompt, completion, thought, likelihoods)

    def _split_thought(self, text: str) -> tuple[str, str]:
        """Return the thought and the answer in what a server wrote that does not part them itself."""
        if self.before_answer is not None:
            return split_thought(text, self.before_answer)
        begun = text.lstrip().startswith(START_OF_THINKING)
        return split_thought(text) if begun else ("", text)

    def _likelihoods(self, choice: dict[str, Any], choices: tuple[str, ...]) -> tuple[float | None, ...]:
        told = _told(choice.get("logprobs"))
        if not told:
            raise LatxaError(
                f"`{self.server.url}` gives no log-probabilities, by which letters would be compared",
                hint="have the model write its answer: `--format generate`",
            )
        return tuple(_likelihood(told, letter) for letter in choices)


def _told(logprobs: Any) -> dict[str, float]:
    """Return the log-probabilities of the likeliest first tokens, by their texts: of a chat, or of a plain text."""
    if not isinstance(logprobs, dict):
        return {}
    content = logprobs.get("content")
    if isinstance(content, list) and content and isinstance(content[0], dict):
        entries = [content[0], *(content[0].get("top_logprobs") or ())]
        pairs = [(entry.get("token"), entry.get("logprob")) for entry in entries if isinstance(entry, dict)]
    else:
        plain = logprobs.get("top_logprobs")
        first = plain[0] if isinstance(plain, list) and plain else None
        pairs = list(first.items()) if isinstance(first, dict) else []
    return {token: float(p) for token, p in pairs if isinstance(token, str) and isinstance(p, int | float)}


def _likelihood(told: Mapping[str, float], letter: str) -> float | None:
    """Return the log-probability of the letter as it is asked for, else of the same one with other space round it."""
    if letter in told:
        return told[letter]
    return max((p for token, p in told.items() if token.strip() == letter.strip()), default=None)
