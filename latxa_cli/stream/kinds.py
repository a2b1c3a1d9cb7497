"""The kinds of records: which fields each has, what they hold, and what else must be so.

`KINDS` is the whole of it. What is required must be there; what may be there holds what it should, or null. Fields that
a kind does not name pass through untouched. A check raises ValueError with what is wrong in words; the reader of
records adds file and line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from latxa_cli.stream.records import Record, spoken_type

Check = Callable[[Record], None]

ROLES = frozenset(("system", "user", "assistant"))
VERDICTS = ("model_a", "model_b", "tie", "tie (bothbad)")
# Metrics of results that are shares (of items answered well, of battles won) from 0 to 1: people read percentages.
SHARES = frozenset(("acc", "acc_norm", "exact_match", "win_rate"))


@dataclass(frozen=True, slots=True)
class Type:
    """What a field may hold: the types of its value, and how people call them."""

    name: str
    types: tuple[type, ...]


STRING = Type("a string", (str,))
NUMBER = Type("a number", (int, float))
BOOLEAN = Type("a boolean", (bool,))
OBJECT = Type("an object", (dict,))
LIST = Type("an array", (list,))
MESSAGES = Type("a list of messages", (list,))
TIME = Type("a string or a number", (str, int, float, date, datetime))  # tables have dates of their own
LABEL = Type("a name or a number", (str, int, float, bool))
VERDICT = Type("a verdict", (str,))
ANYTHING = Type("anything", (str, int, float, bool, dict, list))


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a kind: its name, what it may hold, and what it says."""

    name: str
    type: Type
    says: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of record.

    what: in one phrase. mark: the field that tells it from other kinds where a verb takes several. rule: what else must
    be so, as a check; `rule_says` in words. is_talk: it is a conversation, and comes in other spellings too. is_named:
    it has an id, made of its content where none is given; of what has none, two equal ones are two.
    """

    what: str
    required: tuple[Field, ...]
    optional: tuple[Field, ...]
    mark: str = ""
    rule: Check | None = None
    rule_says: str = ""
    is_talk: bool = False
    is_named: bool = True


# --- what else must be so --------------------------------------------------------------------------------------------


def _messages(record: Record) -> None:
    messages = record["messages"]
    if not messages:
        raise ValueError("`messages` is not a list of messages")
    for message in messages:
        if message.__class__ is dict and message.get("content").__class__ is str:
            role = message.get("role")
            if role.__class__ is str and role in ROLES:
                continue
        raise ValueError(_odd_message(message))


def _odd_message(message: object) -> str:
    if type(message) is not dict:
        return f"a message is {spoken_type(message)}, not an object"
    role = message.get("role")
    if type(role) is not str or role not in ROLES:
        return f"the role `{str(role)[:40]}` is not `system`, `user` or `assistant`"
    return f"the content of a `{role}` message is {spoken_type(message.get('content'))}, not a string"


def _prompt(record: Record) -> None:
    if "messages" not in record:
        if record.get("prompt") is None:
            raise ValueError("neither `messages` nor `prompt` is there")
        return
    _messages(record)
    if record["messages"][-1]["role"] != "user":
        raise ValueError("the last message of a prompt is not from the user")


def _response(record: Record) -> None:
    _messages(record)
    if record["messages"][-1]["role"] != "assistant":
        raise ValueError("the last message of a response is not from the assistant")


def _battle(record: Record) -> None:
    winner = record.get("winner")
    if winner is None:
        if record.get("winner_content") is None and record.get("winner_language") is None:
            raise ValueError(_lacks(record, "winner", VERDICT))
    elif winner not in VERDICTS:
        raise ValueError(f"the winner `{winner[:40]}` is not `model_a`, `model_b`, `tie` or `tie (bothbad)`")


def _rating(record: Record) -> None:
    if record.get("rating") is None and ("rating" not in record or record.get("infinite") not in INFINITE):
        raise ValueError(_lacks(record, "rating", NUMBER))


def _answer(record: Record) -> None:
    if "correct" not in record and "value" not in record:
        raise ValueError("neither `correct` nor `value` is there")


# --- the kinds -------------------------------------------------------------------------------------------------------

INFINITE = ("above", "below", "unknown")

_SOURCE = Field("source", STRING, "where it comes from; with `id` it is known by within a mix")
_LANGUAGE = Field("language", STRING, "its language, as a BCP-47 code (`eu`)")
_METADATA = Field("metadata", OBJECT, "where it comes from and how it was made")
_TASK = Field("task", STRING, "the task it is an example of (`code`, `math`)")
_MODEL = Field("model", STRING, "the model, as people call it")
_REFERENCE = Field("reference", STRING, "a good answer, to compare others with")
_CRITERION = Field("criterion", STRING, "the question of the vote: `winner`, `winner_content`, `winner_language`")
_GROUP = Field("group", Type("an object or a string", (dict, str)), "the subgroup of votes, by field")
_BOUNDS = (
    Field("lower", NUMBER, "the lower end of its interval; null where there is none"),
    Field("upper", NUMBER, "the upper end; null where there is none"),
)
_CONVERSATION = (_SOURCE, _LANGUAGE, _TASK, _METADATA)

KINDS: dict[str, Kind] = {
    "document": Kind(
        "A text.",
        (Field("text", STRING, "the text"),),
        (
            _SOURCE, _LANGUAGE, Field("url", STRING, "where it was found"), Field("created", TIME, "when"),
            Field("licence", STRING, "its licence"), Field("license", STRING, "the same, as others spell it"),
            _METADATA,
        ),
        mark="text",
    ),
    "conversation": Kind(
        "A conversation.",
        (Field("messages", MESSAGES, "its turns: {`role`, `content`}"),),
        _CONVERSATION,
        mark="messages",
        rule=_messages,
        rule_says="A role is `system`, `user` or `assistant`, a content a string; there is a message or more.",
        is_talk=True,
    ),
    "prompt": Kind(
        "A question without its answer.",
        (),
        (
            Field("messages", MESSAGES, "a conversation that ends in a turn of the user"),
            Field("prompt", STRING, "or the question alone"),
            _REFERENCE, *_CONVERSATION,
        ),
        rule=_prompt,
        rule_says="One of `messages` and `prompt` is there.",
        is_talk=True,
    ),
    "response": Kind(
        "A conversation whose last turn a model wrote.",
        (Field("messages", MESSAGES, "its turns, the last one the assistant's"), _MODEL),
        (_REFERENCE, *_CONVERSATION),
        rule=_response,
        is_talk=True,
    ),
    "pair": Kind(
        "A text and its translation.",
        (Field("source", STRING, "the text"), Field("target", STRING, "its translation")),
        (_TASK, _METADATA),
    ),
    "battle": Kind(
        "Two models that answered one prompt, and who did better.",
        (Field("model_a", STRING, "the model shown first"), Field("model_b", STRING, "the other one")),
        (
            Field("winner", VERDICT, "`model_a`, `model_b`, `tie`, or `tie (bothbad)` where neither did well"),
            Field("winner_content", VERDICT, "the same of what is said"),
            Field("winner_language", VERDICT, "the same of how it is said"),
            Field("prompt_id", LABEL, "the prompt"),
            Field("user", LABEL, "who voted"),
            Field("timestamp", TIME, "when"),
            Field("judge", STRING, "the model or the metric that decided"),
            Field("preference", NUMBER, "how likely the judge held that the first one is better, from 0 to 1"),
            Field("conversation_a", LIST, "the messages of the first model's conversation"),
            Field("conversation_b", LIST, "those of the other's"),
            _LANGUAGE, _SOURCE, _METADATA,
        ),
        mark="model_a",
        rule=_battle,
        rule_says="`winner` may be left out where one of the two others is there.",
        is_named=False,
    ),
    "rating": Kind(
        "How strong a model is, by its battles.",
        (_MODEL,),
        (
            Field("rating", NUMBER, "400 points more are odds of 10 to 1; null where infinite or not known"),
            Field("infinite", STRING, "`above`, `below` or `unknown`, where the rating is null"),
            *_BOUNDS,
            Field("rank", NUMBER, "its place"),
            Field("rank_lower", NUMBER, "the best place that it may have"),
            Field("rank_upper", NUMBER, "the worst"),
            Field("tier", NUMBER, "models of one tier are not surely worse than its first"),
            Field("battles", NUMBER, "how many it stood in"),
            Field("interval", STRING, "the interval in words (`--paper`)"),
            Field("ties_as", STRING, "how ties were counted, if not as half a win"),
            Field("island", NUMBER, "which one of the groups of models that met"),
            _CRITERION, _GROUP, _SOURCE, _METADATA,
        ),
        mark="rating",
        rule=_rating,
        rule_says="`rating` is there; null needs `infinite`.",
        is_named=False,
    ),
    "difference": Kind(
        "How far a model's rating on one board is from that on another.",
        (_MODEL,),
        (
            Field("difference", NUMBER, "in points of the rating; null where it is not finite"),
            *_BOUNDS, _CRITERION, _GROUP, _SOURCE, _METADATA,
        ),
        mark="difference",
        is_named=False,
    ),
    "finding": Kind(
        "What a reader of ratings must know.",
        (Field("finding", STRING, "its name"),),
        (
            Field("text", STRING, "in words"), Field("matters", BOOLEAN, "whether ratings are to be doubted for it"),
            Field("value", NUMBER, "as a number"), _CRITERION, _SOURCE, _METADATA,
        ),
        mark="finding",
        is_named=False,
    ),
    "correlation": Kind(
        "How far ratings agree with results.",
        (Field("benchmark", STRING, "the task, or of which tasks the mean is"),),
        (
            Field("correlation", NUMBER, "of the ranks, from -1 to 1; null where it is not known"),
            *_BOUNDS,
            Field("p", NUMBER, "how likely so much is by chance"), Field("models", NUMBER, "how many have both"),
            Field("left_out", NUMBER, "how many lack one of the two"), _LANGUAGE, _CRITERION, _SOURCE, _METADATA,
        ),
        mark="correlation",
        is_named=False,
    ),
    "result": Kind(
        "How well a model did a task.",
        (
            _MODEL, Field("task", STRING, "the task"), Field("metric", STRING, "how it was measured"),
            Field("value", NUMBER, "what was measured"),
        ),
        (
            Field("stderr", NUMBER, "its standard error"), Field("n", NUMBER, "of how many items"),
            Field("filter", STRING, "how answers were taken out of what the model wrote"),
            Field("num_fewshot", NUMBER, "how many examples stood in the prompt"),
            Field("fingerprint", STRING, "equal for results that can be compared"),
            _LANGUAGE, _SOURCE, _METADATA,
        ),
        mark="task",
        is_named=False,
    ),
    "answer": Kind(
        "How a model did one item of a task.",
        (Field("task", STRING, "the task"), _MODEL),
        (
            Field("correct", BOOLEAN, "whether the answer is right"),
            Field("value", NUMBER, "what was measured, where nothing is right or wrong"),
            Field("metrics", OBJECT, "all that was measured of it"),
            Field("filter", STRING, "how the answer was taken out of what the model wrote"),
            Field("prompt", STRING, "what the model was asked"),
            Field("choices", LIST, "what it could choose from"),
            Field("loglikelihoods", LIST, "of each choice"),
            Field("answer", ANYTHING, "what it chose (its place in `choices`) or wrote"),
            Field("target", ANYTHING, "the right answer"),
            _METADATA,
        ),
        rule=_answer,
        rule_says="One of `correct` and `value` is there.",
    ),
    "metrics": Kind(
        "A step of training.",
        (Field("step", NUMBER, "its number"), Field("loss", NUMBER, "nats per token")),
        (
            Field("validation", STRING, "the validation set that the loss is of; else it is that of training"),
            _SOURCE, _METADATA,
        ),
        mark="step",
        is_named=False,
    ),
}  # fmt: skip

HAVE_MESSAGES = frozenset(name for name, kind in KINDS.items() if kind.is_talk)
NAMELESS = frozenset(name for name, kind in KINDS.items() if not kind.is_named)


# --- checks ----------------------------------------------------------------------------------------------------------


def checker(kind: str | tuple[str, ...]) -> Check:
    """Return the check for records of `kind`, or of any of several kinds (told apart by their marks)."""
    if isinstance(kind, str):
        return CHECKS[kind]
    marked = [(KINDS[name].mark, CHECKS[name]) for name in kind]

    def check(record: Record) -> None:
        for mark, check_one in marked:
            if mark in record:
                return check_one(record)
        raise ValueError("neither " + " nor ".join(f"`{mark}`" for mark, _ in marked) + " is there")

    return check


def _check_of(kind: Kind) -> Check:
    """Return the check of one kind. It goes by the fields that a record has: they are fewer than those it may have."""
    fields = {field.name: field.type for field in (*kind.required, *kind.optional)}
    usual = {name: type_.types[0] for name, type_ in fields.items()}  # one `is` tells most values sound
    needed = [field.name for field in kind.required]
    rule = kind.rule

    def odd(name: str, value: object) -> None:
        """Look again at a value that is not of the first type of its field."""
        if type(value) not in fields[name].types and (value is not None or name in needed):
            raise ValueError(f"`{name}` is {spoken_type(value)}, not {fields[name].name}")

    def check(record: Record) -> None:
        for name in record:
            if name in usual and record[name].__class__ is not usual[name]:
                odd(name, record[name])
        for name in needed:
            if name not in record:
                raise ValueError(_lacks(record, name, fields[name]))
        if rule is not None:
            rule(record)

    return check


def _lacks(record: Record, name: str, wanted: Type) -> str:
    """Say of a field that is needed and not there, or null, what is wrong."""
    return f"`{name}` is null, not {wanted.name}" if name in record else f"the field `{name}` is missing"


CHECKS = {name: _check_of(kind) for name, kind in KINDS.items()}
