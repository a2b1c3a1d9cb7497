"""Reverse instructions: for a text that people wrote, the model writes the instruction that it could answer.

The answer is then native text, which no translation or small model could give. The method is that of Li et al. 2024
(Self-Alignment with Instruction Backtranslation, arXiv 2308.06259), across languages as in X-Instruction
(arXiv 2405.19744, section 2.1): the instruction is in a language that the model knows well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from latxa_cli.generation.engine import Decoding, Engine, Request
from latxa_cli.generation.flow import Exchange, converse
from latxa_cli.sampling.filters import Filters
from latxa_cli.sampling.tags import Tagger
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Outcome, Record, Reject, keyed_hash

ASK = (
    "Below is a text in {text}. Somebody wrote it in answer to an instruction or a question. Write that instruction "
    "in {instruction}: it must be clear without the text, ask for all that the text says, and not mention it. Write "
    "the instruction only.\n\nText:\n{document}"
)


@dataclass(frozen=True, slots=True)
class Reversal:
    """How to ask, and what the records say of it.

    `language`, `instruction_language`: the names of the languages of texts and instructions, as the prompt writes them;
    `shots`: pairs of a text and its instruction, with which a base model is asked, or none, and an instruct model is;
    `longest`: words of an answer; `thinking`: whether an instruct model is to think aloud before it writes one.
    """

    decoding: Decoding
    filters: Filters
    language: str
    instruction_language: str
    shots: Sequence[tuple[str, str]]
    longest: int
    seed: int
    model: str
    thinking: bool | None = None
    tagger: Tagger = field(default_factory=Tagger)

    def request(self, document: str, name: str) -> Request:
        seed = keyed_hash(self.seed, "reverse", name)
        if not self.shots:
            asked = ASK.format(text=self.language, instruction=self.instruction_language, document=document)
            return Request(self.decoding, seed, messages=({"role": "user", "content": asked},), thinking=self.thinking)
        head, tail = f"{self.language}: ", f"\n\n{self.instruction_language}: "
        shots = "".join(f"{head}{text}{tail}{instruction}\n\n\n" for text, instruction in self.shots)
        end = Decoding(self.decoding.max_tokens, self.decoding.temperature, self.decoding.top_p, ("\n\n", f"\n{head}"))
        return Request(end, seed, text=f"{shots}{head}{document}{tail.rstrip()}")


def shots_of(conversations: Iterable[Record], path: str) -> list[tuple[str, str]]:
    """Return pairs of a text and its instruction, the first turns of each conversation in the file `path`.

    Raises UsageError where there is none, or a conversation without a turn of either role.
    """
    shots = []
    for record in conversations:
        turns = {message["role"]: message["content"].strip() for message in reversed(record["messages"])}
        if missing := {"assistant", "user"}.difference(turns):
            raise UsageError(f"`--shots {path}`: `{record['id']}` has no turn of the role `{min(missing)}`")
        if empty := next((role for role in ("assistant", "user") if not turns[role]), ""):
            raise UsageError(f"`--shots {path}`: the first `{empty}` turn of `{record['id']}` is empty")
        shots.append((turns["assistant"], turns["user"]))
    if not shots:
        raise UsageError(f"`--shots {path}` holds none", hint="conversations: the answer is a text of the language")
    return shots


def reverse(documents: Iterable[Record], engine: Engine, reversal: Reversal) -> Iterator[Outcome]:
    """Yield a conversation for each document: an instruction by the model, and the document as its answer."""

    def exchange(document: Record) -> Exchange:
        text = first_part(document["text"], reversal.longest)
        if not document["text"].strip():
            return Reject(document, "empty text")
        if not text:
            return Reject(document, "no paragraph ends soon enough", f"within {reversal.longest} words")
        if marker := next((marker for marker in sorted(reversal.filters.markers) if marker in text), ""):
            return Reject(document, "special token in the text", marker)
        (completion,) = yield [reversal.request(text, document["id"])]
        if completion.finish_reason == "too long":
            return Reject(
                document,
                "text longer than the context",
                f"{completion.prompt_tokens} tokens" if completion.prompt_tokens else "",
            )
        if completion.finish_reason == "refused":
            return Reject(document, "refused by the chat template", completion.text)
        if completion.failure:
            return Reject(document, completion.failure, completion.text)
        if fault := reversal.filters.fault_of_instruction(completion):
            return Reject(document, fault, completion.text.strip())
        rest = {name: value for name, value in document.items() if name not in ("id", "text", "messages", "metadata")}
        told = {"method": "reverse", "model": reversal.model, "seed": reversal.seed, "document": document["id"]}
        record = {
            "id": f"reverse-{document['id']}",
            "messages": [
                {"role": "user", "content": completion.text.strip()},
                {"role": "assistant", "content": text},
            ],
            **rest,
            "metadata": (document.get("metadata") or {}) | told | {"instruction_tokens": completion.completion_tokens},
        }
        return (yield from reversal.tagger.tag(record))

    return converse(engine, documents, exchange)


def first_part(text: str, longest: int) -> str:
    """Return the first paragraphs of a text, of `longest` words together at most; nothing if the first has more."""
    from latxa_cli.text.words import length

    kept, words = [], 0
    for paragraph in text.strip().split("\n"):
        words += length(paragraph)
        if words > longest:
            break
        kept.append(paragraph)
    return "\n".join(kept).strip()
