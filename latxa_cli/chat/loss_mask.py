"""The loss mask: the tokens of a conversation, and which of them training learns."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from latxa_cli.chat.composed import locate_composed, spelt
from latxa_cli.chat.counted import check_loss_fields, counts_record, is_empty_answer
from latxa_cli.chat.given import is_plain
from latxa_cli.chat.prompt import answer_prompt
from latxa_cli.chat.rendering import Message, TemplateError, name_of
from latxa_cli.chat.skeleton import Template, common_prefix
from latxa_cli.chat.special import special_ids
from latxa_cli.chat.turn_end import end_of_answer_ids, end_of_turn_ids
from latxa_cli.chat.turns import Located, Turn, locate
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import Record

Loss = Literal["assistant", "all"]


class TokenisedChat(NamedTuple):
    """A tokenised conversation: `ids[i]` is a target of the loss where `trained[i]` is true.

    remarks: what people should know of it, in sentences: what is not trained, and why.
    """

    ids: list[int]
    trained: list[bool]
    remarks: frozenset[str] = frozenset()


def encode_chat(tokenizer: Any, messages: Sequence[Message], *, loss: Loss = "assistant") -> TokenisedChat:
    """Tokenise one conversation and mark the tokens that the loss is taken on.

    See `encode_chats` for the rule and the errors.
    """
    (encoded,) = encode_chats(tokenizer, [messages], loss=loss)
    if isinstance(encoded, TemplateError):
        raise encoded
    return encoded


def encode_chats(
    tokenizer: Any,
    conversations: Sequence[Sequence[Message]],
    records: Sequence[Record] = (),
    *,
    loss: Loss = "assistant",
) -> list[TokenisedChat | TemplateError]:
    """Tokenise conversations in one batch and mark the tokens that the loss is taken on.

    The template writes the whole conversation, begin-of-text token included, and the text is tokenised once.

    `records`: the records of the conversations, for what templates are given beside messages (`tools`).

    - `loss="assistant"`: the tokens of every assistant content, its thoughts and calls of tools, what stands between
      the prompt for an answer and them, and what follows them, up to and including the last special token that ends
      every answer, or else the first one (the tokens that end the turn, which the model must learn to write). A
      template without special tokens trains the text that it writes at the end of an answer instead.
    - `loss="all"`: every token from the user's first word on, so that a small model also learns to write user turns
      and can be sampled with Magpie. What stands before it (begin of text, a system block, the user header) is not
      trained.

    Where the template writes no special token after the last answer, the end-of-text token is added and trained.
    A message that its writer kept from the loss (see `counted`) is not trained, with either. Nor are the results of
    tools, an empty answer, or an answer whose thought the template leaves out.

    Returns:
        One item for each conversation, in order: `TokenisedChat`, or the `TemplateError` that says why there is none.

    Raises:
        LatxaError: the tokenizer has no chat template, or is not a fast one (no character offsets).
    """
    if not tokenizer.is_fast:
        raise LatxaError(
            f"`{name_of(tokenizer)}` has no fast tokenizer, so that turns cannot be found in its tokens",
            hint="convert it to a `tokenizer.json`",
        )
    template = Template(tokenizer)
    located: list[Located | TemplateError] = []
    for messages, record in zip(conversations, records or [{} for _ in conversations], strict=True):
        try:
            check_loss_fields(messages, record)
            plain = is_plain(messages, record)
            found = locate(template, messages) if plain else locate_composed(template, messages, record)
            empty = {"an empty answer"} if any(map(is_empty_answer, messages)) else set()
            counted = found.turns if counts_record(record) else [turn._replace(counts=False) for turn in found.turns]
            located.append(Located(found.text, counted, found.unread | empty))
        except TemplateError as error:
            located.append(error)
    texts = [item.text for item in located if not isinstance(item, TemplateError)]
    if not texts:
        return [item for item in located if isinstance(item, TemplateError)]
    # verbose=False: what is longer than the model's context is for the caller to judge
    batch = tokenizer(
        texts, add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
    )
    special, encodings = set(special_ids(tokenizer)), iter(batch.encodings)
    marks = _Marks(tokenizer, loss, template)
    return [
        item if isinstance(item, TemplateError) else marks.of(item, _Tokens(next(encodings), special))
        for item in located
    ]


def trained_runs(trained: Sequence[bool]) -> list[tuple[int, int]]:
    """Return the runs of trained tokens, each from and up to; the first token is in none, since nothing predicts it."""
    marks = [False, *trained[1:], False] if trained else []
    edges = [place for place in range(1, len(marks)) if marks[place] != marks[place - 1]]
    return list(zip(edges[::2], edges[1::2], strict=True))


def text_size(tokenizer: Any, ids: Sequence[int], start: int, end: int) -> int:
    """Return the bytes in UTF-8 of the text of the tokens from `start` up to `end`; special ones have none.

    They are not decoded alone: the tokens before them decide on the space at their beginning.
    """

    def size(some: Sequence[int]) -> int:
        return len(str(tokenizer.decode(some, skip_special_tokens=True)).encode("utf-8", "replace"))

    return size(ids[:end]) - size(ids[:start])


class _Tokens:
    """The tokens of a text, to be found by its characters; the places of the special ones among them."""

    def __init__(self, encoding: Any, special: set[int]) -> None:
        self.encoding, self.ids = encoding, encoding.ids
        self.special = [place for place, token in enumerate(self.ids) if token in special]

    def reaching(self, character: int, end: int) -> int:
        """Return the first token that holds the character or, up to `end`, a later one (a token may begin in the
        header's last space, and characters that the tokenizer drops are in none)."""
        while character < end:
            if (place := self.encoding.char_to_token(character)) is not None:
                return int(place)
            character += 1
        return len(self.ids)

    def beginning(self, character: int, end: int) -> int:
        """Return the first token that begins with the character or, up to `end`, a later one."""
        place = self.reaching(character, end)
        while place < len(self.ids) and self.span(place)[0] < character:
            place += 1
        return place

    def span(self, place: int) -> tuple[int, int]:
        """Return the characters of a token, from and up to."""
        span: tuple[int, int] = self.encoding.token_to_chars(place)
        return span

    def next_special(self, place: int) -> int:
        """Return the place of the first special token from `place` on."""
        found = bisect_left(self.special, place)
        return self.special[found] if found < len(self.special) else len(self.ids)

    def last_special(self, place: int, character: int) -> int:
        """Return the place of the last special token that begins before the character, from that at `place` on."""
        while (further := self.next_special(place + 1)) < len(self.ids) and self.span(further)[0] < character:
            place = further
        return place


class _Marks:
    """The marks of conversations by one template."""

    def __init__(self, tokenizer: Any, loss: Loss, template: Template) -> None:
        self.tokenizer, self.loss, self.ending = tokenizer, loss, template.ending
        self.prompt = answer_prompt(tokenizer)
        self.ends_of_all = _ends_of_all_messages(tokenizer)

    def of(self, located: Located, tokens: _Tokens) -> TokenisedChat | TemplateError:
        """Mark the trained tokens of one conversation.

        Texts come from models and from the web: one that spells a special token would be read as that token.
        """
        text, turns, unread = located
        ids, end = tokens.ids, len(text)
        trained = [False] * len(ids)
        kept_out: list[slice] = []
        closed = True
        for turn, limit in zip(turns, [*(turn.start for turn in turns[1:]), end], strict=True):
            begin, lead = turn.start, self.prompt.lead
            if lead and turn.role == "assistant" and not turn.composed and text.endswith(lead, 0, begin):
                begin -= len(lead)
            content, words = tokens.reaching(begin, end), tokens.reaching(turn.start, end)
            behind = max(words, tokens.beginning(turn.end, end))
            token = tokens.next_special(words)
            if token < behind and tokens.span(token)[0] >= turn.start and not turn.composed:
                return spelt(text[slice(*tokens.span(token))])
            if turn.role != "assistant":
                kept_out += [] if turn.counts else [slice(content, behind)]
                continue
            special, following = tokens.next_special(behind), tokens.beginning(limit, end)
            closed = special < following
            # Without a special token, the characters that the template writes at the end of an answer are trained.
            ending = self.ending.every if closed else self.ending.last
            written = turn.end + len(common_prefix(text[turn.end : limit], ending))
            stop = tokens.last_special(special, written) + 1 if closed else max(behind, tokens.beginning(written, end))
            if closed and ids[stop - 1] in self.ends_of_all:
                stop = behind
            trained[content:stop] = [True] * (stop - content)
            kept_out += [] if turn.counts else [slice(content, stop)]
        if self.loss == "all" and any(turn.counts for turn in turns):
            first = tokens.reaching(next((turn.start for turn in turns if turn.role == "user"), 0), end)
            trained = [place >= first for place in range(len(ids))]
        for some in kept_out:
            trained[some] = [False] * len(ids[some])
        if not closed and turns[-1].role == "assistant" and self.tokenizer.eos_token_id is not None:
            ids, trained = [*ids, self.tokenizer.eos_token_id], [*trained, turns[-1].counts]
        remarks = [f"{name} is not trained" for name in unread]
        return TokenisedChat(ids, trained, frozenset([*remarks, *self._on_prompt(text, turns[-1])]))

    def _on_prompt(self, text: str, last: Turn) -> list[str]:
        """Return the remark on the prompt for an answer, where the last turn is an answer without thoughts."""
        plain = last.role == "assistant" and last.counts and not last.composed
        applies = plain and self.prompt.remark and text.endswith(self.prompt.written, 0, last.start)
        return [self.prompt.remark] if applies else []


def _ends_of_all_messages(tokenizer: Any) -> set[int]:
    """Return the token that ends messages of all roles, where another one ends an answer (gpt-oss); else nothing.

    Earlier answers end with it. A model that learns that does not stop.
    """
    try:
        return set(end_of_turn_ids(tokenizer)) - set(end_of_answer_ids(tokenizer))
    except TemplateError:
        return set()
