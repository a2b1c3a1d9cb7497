"""Chat templates: rendering, the text before a user's first word, the tokens that end a turn, and training masks.

Nothing here knows a model: every marker is found by rendering the tokenizer's own chat template with placeholder
contents and looking at what the template wrote round them. Only a transformers tokenizer object is needed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal, NamedTuple

from latxa_cli.stream.errors import LatxaError

Message = dict[str, Any]
Loss = Literal["assistant", "all"]

# Letters and digits only, so that no template trims, escapes or splits it.
PLACEHOLDER = "Zq{}placeholder{}qZ"

START_OF_THINKING, END_OF_THINKING = "<think>", "</think>"  # Qwen 3, DeepSeek R1 and others


class TemplateError(LatxaError):
    """The chat template cannot render this conversation, or its turns cannot be found again in the text."""


@dataclass(frozen=True, slots=True)
class PreQuery:
    """The text round a user's instruction: `prefix + instruction + suffix` is what the model answers."""

    prefix: str
    suffix: str


class Encoded(NamedTuple):
    """A tokenised conversation: `ids[i]` is a target of the loss where `trained[i]` is true."""

    ids: list[int]
    trained: list[bool]


class Turn(NamedTuple):
    """Where a message's content lies in the rendered text, in characters: from `start` up to `end`."""

    role: str
    start: int
    end: int


class Skeleton(NamedTuple):
    """What a template writes round contents: the texts before, between and after them (one more than contents), and
    the numbers of the messages in the order in which their contents stand (some templates move the system message)."""

    pieces: list[str]
    order: list[int]


Skeletons = dict[tuple[str, ...], Skeleton | None]  # by the roles of a conversation


# --- rendering -------------------------------------------------------------------------------------------------------


def render(
    tokenizer: Any,
    messages: Sequence[Message],
    *,
    add_generation_prompt: bool = False,
    system: str | None = None,
    thinking: bool | None = None,
) -> str:
    """Return the conversation as the tokenizer's chat template writes it.

    `system` is put first, in place of a system message that the conversation may have. `thinking`: what a template is
    told that asks whether the model thinks aloud.

    Raises:
        LatxaError: the tokenizer has no chat template.
        TemplateError: the template refuses the conversation (a system role, two user turns in a row, …).
    """
    from jinja2.exceptions import TemplateError as JinjaError

    if not tokenizer.chat_template:
        raise LatxaError(
            f"`{_name(tokenizer)}` has no chat template",
            hint="take the instruction-tuned model, or put its `chat_template.jinja` into the directory",
        )
    turns = [{"role": message["role"], "content": message["content"]} for message in messages]
    if system is not None:
        turns = [{"role": "system", "content": system}, *(turn for turn in turns if turn["role"] != "system")]
    try:
        asked = {} if thinking is None else thinking_switches(thinking)
        return tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=add_generation_prompt, **asked
        )
    except (JinjaError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise TemplateError(
            f"the chat template of `{_name(tokenizer)}` refuses the conversation: {why}",
            hint="the roles must be those that the template knows, in an order that it allows",
        ) from error


def pre_query(
    tokenizer: Any,
    messages: Sequence[Message] = (),
    *,
    system: str | None = None,
    default_system: bool = True,
    thinking: bool | None = None,
) -> PreQuery:
    """Find the text that stands before a user's first word and the text between their last word and the answer.

    Magpie (Xu et al. 2024, arXiv 2406.08464, section 2.1) lets an aligned model continue `prefix` to obtain an
    instruction, then `prefix + instruction + suffix` to obtain its answer.

    Args:
        tokenizer: a transformers tokenizer with a chat template.
        messages: the turns before, without a system message.
        system: the system message to stand before the instruction.
        default_system: keep what the template writes of itself before the first turn (Llama 3.1 and Qwen 2.5 write a
            system block). When false, and no `system` is given, the prefix is the begin-of-text token, where the
            template writes one, and the turns alone.
        thinking: whether the model is to think aloud before its answer, where its template asks (`enable_thinking`).

    Raises:
        LatxaError: no chat template, or one that refuses a system message or changes the user's words.
    """
    user = PLACEHOLDER.format(0, 0)
    turns = [*messages, {"role": "user", "content": user}]
    text = render(tokenizer, turns, add_generation_prompt=True, system=system, thinking=thinking)
    before, after = _cut(tokenizer, text, [user]).pieces
    if system is None and not default_system:
        first = pre_query(tokenizer, thinking=thinking).prefix
        if not before.startswith(first):
            raise TemplateError(
                f"the chat template of `{_name(tokenizer)}` writes another beginning where there are more turns",
                hint="leave `--no-template-system` out",
            )
        before = _begin(tokenizer, first) + _user_header(tokenizer, first) + before[len(first) :]
    return PreQuery(before, after)


def thinking_switches(thinking: bool) -> dict[str, bool]:
    """Return the variables by which templates are told whether the model thinks aloud (Qwen 3; Granite, DeepSeek)."""
    return {"enable_thinking": thinking, "thinking": thinking}


def can_think(tokenizer: Any) -> bool:
    """Whether a model may think aloud before it answers: vocabulary and template have the token that ends a thought."""
    known = {token.content for token in tokenizer.added_tokens_decoder.values()}
    return END_OF_THINKING in known and END_OF_THINKING in str(tokenizer.chat_template)


def heeds_thinking(tokenizer: Any) -> bool:
    """Whether the template writes another text when it is told that the model is to think aloud than when not."""
    user = [{"role": "user", "content": PLACEHOLDER.format(0, 0)}]
    on, off = (render(tokenizer, user, add_generation_prompt=True, thinking=thinking) for thinking in (True, False))
    return on != off


def split_thought(text: str, before: str = "") -> tuple[str, str]:
    """Return what a model thought aloud, and its answer: none where the thought never ended.

    `text`: what it wrote; `before`: what its template wrote before that, which may have begun the thought.
    """
    thought, end, answer = text.partition(END_OF_THINKING)
    if not end and not before.rstrip().endswith(START_OF_THINKING) and not text.lstrip().startswith(START_OF_THINKING):
        return "", text
    return thought.strip().removeprefix(START_OF_THINKING).strip(), answer


def end_of_turn_ids(tokenizer: Any, generation_config: Any = None) -> list[int]:
    """Return the ids of the tokens that end a turn, without repeats.

    They are the end-of-text tokens of the generation configuration and of the tokenizer, then the first special token
    that the template writes after an assistant's content and the first after a user's.
    """
    found: list[int | None] = []
    configured = getattr(generation_config, "eos_token_id", None)
    found.extend(configured if isinstance(configured, (list, tuple)) else [configured])
    found.append(tokenizer.eos_token_id)
    if tokenizer.chat_template:
        special = set(_special_ids(tokenizer))
        for text in (_assistant_tail(tokenizer), pre_query(tokenizer).suffix):
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            found.append(next((token for token in ids if token in special), None))
    return list(dict.fromkeys(int(token) for token in found if token is not None))


def special_tokens(tokenizer: Any) -> frozenset[str]:
    """Return the special tokens as they are written: what must not stand in the text of a message."""
    return frozenset(tokenizer.convert_ids_to_tokens(_special_ids(tokenizer)))


# --- training masks --------------------------------------------------------------------------------------------------


def encode_chat(tokenizer: Any, messages: Sequence[Message], *, loss: Loss = "assistant") -> Encoded:
    """Tokenise one conversation and mark the tokens that the loss is taken on.

    See `encode_chats` for the rule and the errors.
    """
    (encoded,) = encode_chats(tokenizer, [messages], loss=loss)
    if isinstance(encoded, TemplateError):
        raise encoded
    return encoded


def encode_chats(
    tokenizer: Any, conversations: Iterable[Sequence[Message]], *, loss: Loss = "assistant"
) -> list[Encoded | TemplateError]:
    """Tokenise conversations in one batch and mark the tokens that the loss is taken on.

    The template writes the whole conversation, begin-of-text token included, and the text is tokenised once.

    - `loss="assistant"`: the tokens of every assistant content, and what follows it up to and including the first
      special token (the token that ends the turn, which the model must learn to write). A template without special
      tokens trains the text that it writes at the end of an answer instead.
    - `loss="all"`: every token from the user's first word on, so that a small model also learns to write user turns
      and can be sampled with Magpie. What stands before it (begin of text, a system block, the user header) is not
      trained.

    Where the template writes no special token after the last answer, the end-of-text token is added and trained.

    Returns:
        One item for each conversation, in order: `Encoded`, or the `TemplateError` that says why there is none.

    Raises:
        LatxaError: the tokenizer has no chat template, or is not a fast one (no character offsets).
    """
    if not tokenizer.is_fast:
        raise LatxaError(
            f"`{_name(tokenizer)}` has no fast tokenizer, so that turns cannot be found in its tokens",
            hint="convert it to a `tokenizer.json`",
        )
    skeletons: Skeletons = {}
    located: list[tuple[str, list[Turn]] | TemplateError] = []
    for messages in conversations:
        try:
            located.append(_locate(tokenizer, messages, skeletons))
        except TemplateError as error:
            located.append(error)
    texts = [item[0] for item in located if not isinstance(item, TemplateError)]
    if not texts:
        return [item for item in located if isinstance(item, TemplateError)]
    # verbose=False: what is longer than the model's context is for the caller to judge
    batch = tokenizer(
        texts, add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
    )
    special, encodings = set(_special_ids(tokenizer)), iter(batch.encodings)
    return [
        item if isinstance(item, TemplateError) else _mark(tokenizer, loss, *item, _Tokens(next(encodings), special))
        for item in located
    ]


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


def _mark(tokenizer: Any, loss: Loss, text: str, turns: list[Turn], tokens: _Tokens) -> Encoded | TemplateError:
    """Mark the trained tokens of one conversation.

    Texts come from models and from the web: one that spells a special token would be read as that token.
    """
    ids, end = tokens.ids, len(text)
    trained = [False] * len(ids)
    closed = True
    for turn, limit in zip(turns, [*(turn.start for turn in turns[1:]), end], strict=True):
        content = tokens.reaching(turn.start, end)
        behind = max(content, tokens.beginning(turn.end, end))
        spelt = tokens.next_special(content)
        if spelt < behind and tokens.span(spelt)[0] >= turn.start:
            return TemplateError(
                f"the text of a message holds the special token `{text[slice(*tokens.span(spelt))]}`",
                hint="the model would take it for the end of a turn or the like: leave the conversation out",
            )
        if turn.role != "assistant":
            continue
        special, following = tokens.next_special(behind), tokens.beginning(limit, end)
        closed = special < following
        if closed:
            stop = special + 1
        else:  # no special token: train the characters that the template writes at the end of an answer
            written = turn.end + len(_common_prefix(text[turn.end : limit], _assistant_tail(tokenizer)))
            stop = max(behind, tokens.beginning(written, end))
        trained[content:stop] = [True] * (stop - content)
    if loss == "all":
        first = tokens.reaching(next((turn.start for turn in turns if turn.role == "user"), 0), end)
        trained = [place >= first for place in range(len(ids))]
    if not closed and turns[-1].role == "assistant" and tokenizer.eos_token_id is not None:
        ids, trained = [*ids, tokenizer.eos_token_id], [*trained, True]
    return Encoded(ids, trained)


def _locate(tokenizer: Any, messages: Sequence[Message], skeletons: Skeletons) -> tuple[str, list[Turn]]:
    """Render the conversation and find every content in the text.

    First by the skeleton: the same roles rendered with placeholders give the template's own text between contents,
    and the whole must be exactly that text with the contents in between. A template that looks at the contents fails
    this; then by prefixes: the conversation rendered up to and past each turn must be prefixes of the whole.
    """
    text = render(tokenizer, messages)
    roles = tuple(message["role"] for message in messages)
    if roles not in skeletons:
        skeletons[roles] = _skeleton(tokenizer, roles)
    turns = _fit(text, messages, skeletons[roles]) or _by_prefixes(tokenizer, text, messages)
    if not turns:
        raise TemplateError(
            f"the chat template of `{_name(tokenizer)}` rewrites the conversation, its turns cannot be found again",
            hint="leave the conversation out, or use a template that writes contents as they are",
        )
    return text, turns


def _skeleton(tokenizer: Any, roles: tuple[str, ...]) -> Skeleton | None:
    """Return what the template writes round the contents of messages with these roles; None where it refuses them."""
    contents = [PLACEHOLDER.format(number, number) for number in range(len(roles))]
    messages = [{"role": role, "content": content} for role, content in zip(roles, contents, strict=True)]
    try:
        return _cut(tokenizer, render(tokenizer, messages), contents)
    except TemplateError:
        return None


def _fit(text: str, messages: Sequence[Message], skeleton: Skeleton | None) -> list[Turn]:
    """Lay the contents into the skeleton; an empty list when that does not give `text` to the last character."""
    if skeleton is None or not text.startswith(skeleton.pieces[0]):
        return []
    turns, position = [], len(skeleton.pieces[0])
    for number, following in zip(skeleton.order, skeleton.pieces[1:], strict=True):
        message = messages[number]
        content = message["content"]
        for candidate in dict.fromkeys((content, content.strip(), content.lstrip(), content.rstrip())):
            if text.startswith(candidate + following, position):
                break
        else:
            return []
        turns.append(Turn(message["role"], position, position + len(candidate)))
        position += len(candidate) + len(following)
    return turns if position == len(text) else []


def _by_prefixes(tokenizer: Any, text: str, messages: Sequence[Message]) -> list[Turn]:
    """Find user and assistant contents between renderings of the turns before; an empty list where that fails."""
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        if message["role"] == "system":
            continue
        answer = message["role"] == "assistant"
        start = turns[-1].end if turns else 0
        if answer:
            before = render(tokenizer, messages[:index], add_generation_prompt=True)
            if not text.startswith(before):
                return []
            start = len(before)
        after = render(tokenizer, messages[: index + 1])
        content = message["content"].strip()
        if not content or not text.startswith(after):
            return []
        # The content is the last thing of the prefix but for the end of the turn.
        found = text.rfind(content, start, len(after))
        if found < 0:
            return []
        turns.append(Turn(message["role"], found, found + len(content)))
    return turns


# --- what a template writes ------------------------------------------------------------------------------------------


def _dialogue(tokenizer: Any, count: int) -> list[str]:
    """Return the texts round the contents of `count` turns, user first."""
    roles = tuple("user" if turn % 2 == 0 else "assistant" for turn in range(count))
    skeleton = _skeleton(tokenizer, roles)
    if skeleton is None:
        render(
            tokenizer, [{"role": role, "content": PLACEHOLDER.format(0, 0)} for role in roles]
        )  # raises what is wrong
    if skeleton is None or skeleton.order != list(range(count)):
        raise TemplateError(
            f"the chat template of `{_name(tokenizer)}` does not write a dialogue of {count} turns as it stands",
            hint="a template must take a user turn, an answer and another user turn",
        )
    return skeleton.pieces


def _assistant_tail(tokenizer: Any) -> str:
    """Return what the template writes after an assistant's content that is the last."""
    return _dialogue(tokenizer, 2)[-1]


def _user_header(tokenizer: Any, before: str) -> str:
    """Return the header that opens a user turn, without what stands before it in the first turn (`before`).

    Between an answer and the next user turn stands the end of the answer, then the header. The first turn has the same
    header, perhaps without the blank lines that part it from an answer, so the common ending of the two is it.
    """
    between = _dialogue(tokenizer, 3)[2]
    end = len(_common_prefix(between, _assistant_tail(tokenizer)))
    for token in special_tokens(tokenizer):  # two that begin alike may follow the answer: `<|user|>`, `<|endoftext|>`
        start = between.rfind(token, 0, end + len(token) - 1)
        if start >= 0 and start < end < start + len(token):
            end = start
    header = between[end:]
    length = len(_common_prefix(before[::-1], header[::-1]))
    return before[len(before) - length :]


def _begin(tokenizer: Any, before: str) -> str:
    """Return the begin-of-text token where the template writes it, else nothing."""
    bos = tokenizer.bos_token
    return bos if bos and before.startswith(bos) else ""


def _cut(tokenizer: Any, text: str, contents: Sequence[str]) -> Skeleton:
    """Cut `text` at the contents, each of which must be there once."""
    if any(text.count(content) != 1 for content in contents):
        raise TemplateError(
            f"the chat template of `{_name(tokenizer)}` changes, repeats or leaves out the words of a turn",
            hint="use a template that writes contents as they are",
        )
    order = sorted(range(len(contents)), key=lambda number: text.index(contents[number]))
    pieces = []
    for number in order:
        piece, _, text = text.partition(contents[number])
        pieces.append(piece)
    return Skeleton([*pieces, text], order)


def _common_prefix(first: str, second: str) -> str:
    length = 0
    for left, right in zip(first, second, strict=False):
        if left != right:
            break
        length += 1
    return first[:length]


def _special_ids(tokenizer: Any) -> list[int]:
    """Ids of the special tokens: the named ones (begin, end, …) and those added as special."""
    added = [index for index, token in tokenizer.added_tokens_decoder.items() if token.special]
    return [token for token in (*tokenizer.all_special_ids, *added) if token != tokenizer.unk_token_id]


def _name(tokenizer: Any) -> str:
    """The model's directory or hub name, as the user would know it."""
    return PurePath(tokenizer.name_or_path).name or "the tokenizer"
