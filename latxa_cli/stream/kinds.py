"""The kinds of records: the fields of each, the types of their values, and one more rule where a kind needs it.

`KINDS` declares them all. A required field must be there; an optional one has a value of its type, or null. Fields that
a kind does not name pass through untouched. A check raises ValueError with the problem in words, to which the reader of
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
# Metrics of results that are shares from 0 to 1 (of items answered well, of battles won): reports show percentages.
SHARES = frozenset(("acc", "acc_norm", "exact_match", "win_rate"))


@dataclass(frozen=True, slots=True)
class Type:
    """The type of a field: its name in messages, and the Python types of its values, the most frequent one first."""

    name: str
    types: tuple[type, ...]


STRING = Type("a string", (str,))
NUMBER = Type("a number", (int, float))
BOOLEAN = Type("a boolean", (bool,))
OBJECT = Type("an object", (dict,))
LIST = Type("an array", (list,))
MESSAGES = Type("a list of messages", (list,))
TIME = Type("a string or a number", (str, int, float, date, datetime))  # Parquet has dates of its own
LABEL = Type("a name or a number", (str, int, float, bool))
VERDICT = Type("a verdict", (str,))
ANYTHING = Type("anything", (str, int, float, bool, dict, list))


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a kind: its name, its type, and its meaning for `recipes/records.md`."""

    name: str
    type: Type
    says: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of record.

    - title: the kind in one phrase, for `recipes/records.md`.
    - mark: the field by which a verb that takes several kinds tells this one from the others.
    - rule: a check beyond the types of fields; `rule_says` is the same in words.
    - is_talk: records are conversations, and other spellings of conversations are accepted.
    - is_named: records have ids, made from their content where none is given. Two equal records without ids are two
      records, not one.
    """

    title: str
    required: tuple[Field, ...]
    optional: tuple[Field, ...]
    mark: str = ""
    rule: Check | None = None
    rule_says: str = ""
    is_talk: bool = False
    is_named: bool = True

    @property
    def fields(self) -> tuple[Field, ...]:
        return (*self.required, *self.optional)


# --- rules -----------------------------------------------------------------------------------------------------------


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

_SOURCE = Field("source", STRING, "where it comes from; in a mix, `source` and `id` together identify a record")
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
            _SOURCE, _LANGUAGE, Field("url", STRING, "its web address"),
            Field("created", TIME, "when it was written"),
            Field("licence", STRING, "its licence"), Field("license", STRING, "another spelling of `licence`"),
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
    "record": Kind("Any record with texts, such as an item of a benchmark.", (), (_METADATA,)),
    "battle": Kind(
        "Two models that answered one prompt, and who did better.",
        (Field("model_a", STRING, "the model shown first"), Field("model_b", STRING, "the other one")),
        (
            Field("winner", VERDICT, "`model_a`, `model_b`, `tie`, or `tie (bothbad)` where neither did well"),
            Field("winner_content", VERDICT, "the verdict on the content alone"),
            Field("winner_language", VERDICT, "the verdict on the language alone"),
            Field("prompt_id", LABEL, "the id of the prompt"),
            Field("user", LABEL, "the person who voted"),
            Field("timestamp", TIME, "when the vote was cast"),
            Field("judge", STRING, "the model or the metric that decided"),
            Field("preference", NUMBER, "the judge's probability, from 0 to 1, that the first model is better"),
            Field("conversation_a", LIST, "the messages of the first model's conversation"),
            Field("conversation_b", LIST, "the messages of the other model's conversation"),
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
            Field("rank_upper", NUMBER, "the worst place that it may have"),
            Field("tier", NUMBER, "the models of a tier are not surely worse than its first model"),
            Field("battles", NUMBER, "the number of its battles"),
            Field("interval", STRING, "the interval in words (`--paper`)"),
            Field("ties_as", STRING, "how ties were counted, if not as half a win"),
            Field("island", NUMBER, "the number of its island; no battles connect models of different islands"),
            _CRITERION, _GROUP, _SOURCE, _METADATA,
        ),
        mark="rating",
        rule=_rating,
        rule_says="`rating` is there; null needs `infinite`.",
        is_named=False,
    ),
    "difference": Kind(
        "The difference between a model's ratings on two boards.",
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
            Field("text", STRING, "the finding in words"),
            Field("matters", BOOLEAN, "whether it is a reason to doubt the ratings"),
            Field("value", NUMBER, "its number"), _CRITERION, _SOURCE, _METADATA,
        ),
        mark="finding",
        is_named=False,
    ),
    "correlation": Kind(
        "How far ratings agree with results.",
        (Field("benchmark", STRING, "the task, or the tasks whose mean was taken"),),
        (
            Field("correlation", NUMBER, "the correlation of ranks, from -1 to 1; null where it is unknown"),
            *_BOUNDS,
            Field("p", NUMBER, "the probability of such a correlation by chance"),
            Field("models", NUMBER, "the number of models with a rating and a result"),
            Field("left_out", NUMBER, "the number of models that lack one of the two"),
            _LANGUAGE, _CRITERION, _SOURCE, _METADATA,
        ),
        mark="correlation",
        is_named=False,
    ),
    "result": Kind(
        "How well a model did a task.",
        (
            _MODEL, Field("task", STRING, "the task"), Field("metric", STRING, "the name of the metric"),
            Field("value", NUMBER, "the value of the metric"),
        ),
        (
            Field("stderr", NUMBER, "its standard error"), Field("n", NUMBER, "the number of items that it is of"),
            Field("asked", NUMBER, "the number of items that were asked, where some may have no answer"),
            Field("outcomes", OBJECT, "how many of these were answered, refused, cut off …"),
            Field("filter", STRING, "how the answer was extracted from the model's text"),
            Field("num_fewshot", NUMBER, "the number of examples in the prompt"),
            Field("path", STRING, "the path or hub name of the model"),
            Field("weights", STRING, "a hash of the model's weights, or its commit on the hub"),
            Field("chat", BOOLEAN, "whether the model was asked through its chat template"),
            Field("format", STRING, "how choices were asked: `mcqa`, `cloze`, `generate` or `cot`"),
            Field("target_delimiter", STRING, "what stood between a prompt and a choice, unless a space did"),
            Field("shot_seeds", LIST, "the seeds of the shots, where items were asked with several draws"),
            Field("paper", BOOLEAN, "whether prompts were those of the paper"),
            Field("contaminated", NUMBER, "the number of items that stand in training data"),
            Field("searched", NUMBER, "the number of items that are long enough to be looked for there"),
            Field("clean_value", NUMBER, "the value over the items that do not stand there"),
            Field("bytes", NUMBER, "the bytes of the texts that were predicted"),
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
            Field("value", NUMBER, "the value of a metric, where nothing is right or wrong"),
            Field("metrics", OBJECT, "the values of all metrics"),
            Field("filter", STRING, "how the answer was extracted from the model's text"),
            Field("shot_seed", NUMBER, "the seed of the shots, where items were asked with several draws"),
            Field("prompt", STRING, "the prompt that the model was given"),
            Field("choices", LIST, "the choices that it was given"),
            Field("loglikelihoods", LIST, "the log-likelihood of each choice"),
            Field("answer", ANYTHING, "the model's choice (its place in `choices`) or its text; null for no answer"),
            Field("target", ANYTHING, "the right answer"),
            Field("outcome", STRING, "what became of the item: `answered`, `refused`, `cut off` …"),
            Field("response", STRING, "what the model wrote, and the answer was looked for in"),
            Field("thought", STRING, "what it thought aloud before"),
            _METADATA,
        ),
        rule=_answer,
        rule_says="One of `correct` and `value` is there.",
    ),
    "metrics": Kind(
        "A step of training.",
        (Field("step", NUMBER, "its number"), Field("loss", NUMBER, "nats per token")),
        (
            Field("validation", STRING, "the validation set of the loss; without it, the loss is that of training"),
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
    """Return the check for records of one kind, or of several kinds that are told apart by their marks."""
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
    """Return the check of one kind."""
    # A check is run for every record that any verb reads, so its loop is over the fields of the record, which are fewer
    # than those of the kind, and one `is` passes most values.
    fields = {field.name: field.type for field in kind.fields}
    first_types = {name: type_.types[0] for name, type_ in fields.items()}
    required = [field.name for field in kind.required]
    rule = kind.rule

    def check_other_types(name: str, value: object) -> None:
        if type(value) not in fields[name].types and (value is not None or name in required):
            raise ValueError(f"`{name}` is {spoken_type(value)}, not {fields[name].name}")

    def check(record: Record) -> None:
        for name in record:
            if name in first_types and record[name].__class__ is not first_types[name]:
                check_other_types(name, record[name])
        for name in required:
            if name not in record:
                raise ValueError(_lacks(record, name, fields[name]))
        if rule is not None:
            rule(record)

    return check


def _lacks(record: Record, name: str, type_: Type) -> str:
    """Return the message for a required field that is missing or null."""
    return f"`{name}` is null, not {type_.name}" if name in record else f"the field `{name}` is missing"


CHECKS = {name: _check_of(kind) for name, kind in KINDS.items()}
# Fields whose values are objects or lists; also that of another spelling of conversations.
CONTAINERS = {field.name for kind in KINDS.values() for field in kind.fields if {*field.type.types} <= {dict, list}}
CONTAINERS.add("conversations")
