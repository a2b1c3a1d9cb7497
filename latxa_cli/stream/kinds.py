"""The kinds of records: the fields of each, the types of their values, and one more rule where a kind needs it.

`KINDS` declares them all. A required field must be there; an optional one has a value of its type, or null. Fields that
a kind does not name pass through untouched. `checks` holds records to them.
"""

from __future__ import annotations

from latxa_cli.stream import rules
from latxa_cli.stream.fields import (
    ANYTHING,
    BOOLEAN,
    LABEL,
    LIST,
    MESSAGES,
    NUMBER,
    OBJECT,
    STRING,
    TIME,
    VERDICT,
    Field,
    Kind,
    Type,
)

# Metrics of results that are shares from 0 to 1 (of items answered well, of battles won): reports show percentages.
SHARES = frozenset(("acc", "acc_norm", "exact_match", "win_rate"))

_SOURCE = Field("source", STRING, "where it comes from; in a mix, `source` and `id` together identify a record")
_LANGUAGE = Field("language", STRING, "its language, as a BCP-47 code (`eu`)")
_METADATA = Field("metadata", OBJECT, "where it comes from and how it was made")
_TASK = Field("task", STRING, "the task it is an example of (`code`, `math`)")
_ASKED_AGAIN = Field("asked_again", BOOLEAN, "whether the judge gave its numbers only when it was asked once more")
_MODEL = Field("model", STRING, "the model, as people call it")
_REFERENCE = Field("reference", STRING, "a good answer, to compare others with")
_CRITERION = Field("criterion", STRING, "the question of the vote: `winner`, `winner_content`, `winner_language`")
_GROUP = Field("group", Type("an object or a string", (dict, str)), "the subgroup of votes, by field")
_BOUNDS = (
    Field("lower", NUMBER, "the lower end of its interval; null where there is none"),
    Field("upper", NUMBER, "the upper end; null where there is none"),
)
_FILTER = Field("filter", STRING, "how the answer was extracted from the model's text")
# What tells models of one name apart, and how they were asked.
_ASKED = (
    Field("path", STRING, "the path or hub name of the model"),
    Field("weights", STRING, "a hash of the model's weights, or its commit on the hub"),
    Field("num_fewshot", NUMBER, "the number of examples in the prompt"),
    Field("chat", BOOLEAN, "whether the model was asked through its chat template"),
    Field("format", STRING, "how choices were asked: `mcqa`, `cloze`, `generate` or `cot`"),
    Field(
        "target_delimiter",
        STRING,
        "what stood between a prompt and a choice, if not a space in a plain prompt or nothing under a chat template; "
        "null where it is not known",
    ),
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
        rule=rules.messages,
        rule_says="A role is `system`, `user`, `assistant` or `tool`, a content a string; there is a message or more. "
        "What else messages hold (`tool_calls`, `reasoning_content`, …) is kept, and `tools` beside them; `prepare` "
        "gives it to the chat template.",
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
        rule=rules.prompt,
        rule_says="One of `messages` and `prompt` is there. Tools are neither offered nor called, and there are no "
        "pictures.",
        is_talk=True,
    ),
    "response": Kind(
        "A conversation whose last turn a model wrote.",
        (Field("messages", MESSAGES, "its turns, the last one the assistant's"), _MODEL),
        (_REFERENCE, *_CONVERSATION),
        rule=rules.response,
        rule_says="Tools are neither offered nor called, and there are no pictures.",
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
            Field("reasons", ANYTHING, "why, by side and as keys of the page of `vote`"),
            Field("errors", OBJECT, "the words marked as wrong, by side: {`turn`, `start`, `end`, `text`}, "
                  "where `turn` is a place in the conversation, and the others count characters of its content"),
            Field("errors_per_100_words", OBJECT, "how many words of 100 were marked, by side"),
            Field("correction", OBJECT, "how the last turn of the better answer should be: {`side`, `content`}"),
            Field("skipped", BOOLEAN, "whether the voter could not judge the pair, and gave no verdict"),
            Field("prompt_id", LABEL, "the id of the prompt"),
            Field("user", LABEL, "the person who voted"),
            Field("timestamp", TIME, "when the vote was cast"),
            Field("judge", STRING, "the model or the metric that decided"),
            Field("preference", NUMBER, "the judge's probability, from 0 to 1, that the first model is better"),
            _ASKED_AGAIN,
            Field("conversation_a", LIST, "the messages of the first model's conversation"),
            Field("conversation_b", LIST, "the messages of the other model's conversation"),
            _LANGUAGE, _SOURCE, _METADATA,
        ),
        mark="model_a",
        rule=rules.battle,
        rule_says="`winner` may be left out where one of the two others is there, or `skipped` is true.",
        is_named=False,
    ),
    "proposal": Kind(
        "A battle that is to be held, as `arena-next` proposes it.",
        (Field("model_a", STRING, "the model to be shown first"), Field("model_b", STRING, "the other one")),
        (
            Field("gain", NUMBER, "how far the vote lowers the cost of wrongly ordered models, in points"),
            Field("reason", STRING, "`bridge` where models meet that nothing connects, else `contested`"),
            _SOURCE, _METADATA,
        ),
        mark="gain",
        is_named=False,
    ),
    "score": Kind(
        "How good a record is, by a rubric; `id` is that of the record.",
        (Field("rubric", STRING, "the rubric"), Field("scores", OBJECT, "the score by each criterion, by name")),
        (
            Field("model", STRING, "the model that wrote what was judged"),
            Field("judge", STRING, "the model or the metric that judged"),
            _ASKED_AGAIN,
            _TASK, _LANGUAGE, _SOURCE, _METADATA,
        ),
        mark="rubric",
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
        rule=rules.rating,
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
        "What a reader of ratings, or of a judge's battles, must know.",
        (Field("finding", STRING, "its name"),),
        (
            Field("text", STRING, "the finding in words"),
            Field("matters", BOOLEAN, "whether it is a reason to doubt the ratings"),
            Field("value", NUMBER, "its number"), *_BOUNDS,
            Field("n", NUMBER, "the number of what it was counted on"),
            Field("judge", STRING, "the judge that it is about"),
            Field("votes", NUMBER, "the number of votes of people that it is about"),
            Field("error", NUMBER, "how far ratings are from those of people, in points"),
            _CRITERION, _SOURCE, _METADATA,
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
            _FILTER, *_ASKED,
            Field("higher_is_better", BOOLEAN, "the direction of the metric"),
            Field("variant", STRING, "the code of the model in the grid of variants (`exp_2_101`)"),
            Field("shot_seeds", LIST, "the seeds of the shots, where items were asked with several draws"),
            Field("paper", BOOLEAN, "whether prompts were those of the paper"),
            Field("contaminated", NUMBER, "the number of items that stand in training data"),
            Field("searched", NUMBER, "the number of items that are long enough to be looked for there"),
            Field("clean_value", NUMBER, "the value over the items that do not stand there"),
            Field("bytes", NUMBER, "the bytes of the texts that were predicted"),
            Field("fingerprint", STRING, "equal for results that can be compared"),
            _LANGUAGE, _SOURCE, _METADATA,
        ),
        mark="metric",
        is_named=False,
    ),
    "answer": Kind(
        "How a model did one item of a task.",
        (Field("task", STRING, "the task"), _MODEL),
        (
            Field("correct", BOOLEAN, "whether the answer is right"),
            Field("value", NUMBER, "the value of a metric, where nothing is right or wrong"),
            Field("metrics", OBJECT, "the values of all metrics"),
            _FILTER,
            Field("shot_seed", NUMBER, "the seed of the shots, where items were asked with several draws"),
            Field("prompt", STRING, "the prompt that the model was given"),
            Field("choices", LIST, "the choices that it was given"),
            Field("loglikelihoods", LIST, "the log-likelihood of each choice"),
            Field("answer", ANYTHING, "the model's choice (its place in `choices`) or its text; null for no answer"),
            Field("target", ANYTHING, "the right answer"),
            Field("outcome", STRING, "what became of the item: `answered`, `refused`, `cut off` …"),
            Field("response", STRING, "what the model wrote, and the answer was looked for in"),
            Field("thought", STRING, "what it thought aloud before"),
            *_ASKED, _LANGUAGE,
            Field("group", STRING, "the group of tasks that this one is a part of"),
            Field("group_mean", STRING, "what the figure of the group is the mean of: `items` or `tasks`"),
            Field("cluster", LABEL, "what it shares with other items of the task, such as the text they ask about"),
            _METADATA,
        ),
        mark="task",
        rule=rules.answer,
        rule_says="One of `correct` and `value` is there.",
    ),
    "sample": Kind(
        "An item as lm-evaluation-harness logs it (`samples_TASK_TIME.jsonl`); each metric is a field.",
        (Field("doc_id", NUMBER, "the place of the item in the task"),),
        (
            Field("doc", ANYTHING, "the item"), Field("target", ANYTHING, "the right answer"), _FILTER,
            Field("doc_hash", STRING, "a hash of the item"), Field("prompt_hash", STRING, "a hash of the prompt"),
            Field("arguments", ANYTHING, "the requests, the prompt first in each"),
            Field("filtered_resps", LIST, "the model's answers"), Field("metrics", LIST, "the names of its metrics"),
        ),
        mark="doc_id",
        is_named=False,
    ),
    "comparison": Kind(
        "How far a model and a baseline differ on the same items of a task, or in the mean over tasks.",
        (
            _MODEL, Field("baseline", STRING, "the model that it is compared with"),
            Field("metric", STRING, "the name of the metric"),
            Field("value", NUMBER, "the model's mean over the items that both answered"),
            Field("baseline_value", NUMBER, "that of the baseline"),
            Field("difference", NUMBER, "`value` less `baseline_value`"),
        ),
        (
            Field("task", STRING, "the task, or the group of tasks; not there for a mean over tasks"),
            Field("tasks", NUMBER, "the number of tasks in the mean, each with one weight"),
            _FILTER, _LANGUAGE,
            Field("n", NUMBER, "the number of these items"),
            Field("clusters", NUMBER, "the number of clusters of items, where items are not each by itself"),
            Field("stderr", NUMBER, "the standard error of the difference"),
            *_BOUNDS,
            Field("confidence", NUMBER, "the confidence of the interval (0.95)"),
            Field("interval", STRING, "its method: `sandwich` or `bootstrap`"),
            Field("only_model", NUMBER, "the number of items that the model alone has right"),
            Field("only_baseline", NUMBER, "the number of items that the baseline alone has right"),
            Field("p", NUMBER, "the probability of such a difference where there is none"),
            Field("test", STRING, "what gave `p`: `mcnemar`, `permutation` or `t`"),
            Field("mcnemar_p", NUMBER, "that of the exact test of McNemar, which takes no account of clusters"),
            Field("p_holm", NUMBER, "`p` after Holm's correction for all tasks of the model"),
            Field("verdict", STRING, "`better`, `worse`, `higher`, `lower` or `no difference shown`"),
            Field("detectable", NUMBER, "the difference that so many items show with a power of 80 %"),
            Field("items_for_point", NUMBER, "the number of items that would show 0.01 with that power"),
            Field("shot_seeds", LIST, "the seeds of the shots, where items were asked with several draws"),
            Field("spread", NUMBER, "the standard deviation of the difference from seed to seed"),
            Field("unanswered", NUMBER, "the number of items left out since the model gave no answer"),
            Field("baseline_unanswered", NUMBER, "the number of items left out since the baseline gave none"),
            Field("left_out", NUMBER, "the number of items left out since one of the two was not asked"),
            Field("despite", LIST, "what differs between the two and was allowed (`--despite`)"),
            Field("path", STRING, "the path or hub name of the model"),
            Field("weights", STRING, "a hash of its weights, or its commit on the hub"),
            Field("baseline_path", STRING, "the path or hub name of the baseline"),
            Field("baseline_weights", STRING, "a hash of its weights, or its commit on the hub"),
        ),
        mark="baseline_value",
        is_named=False,
    ),
    "change": Kind(
        "An item that a model and a baseline did not do equally well; `id` is that of the item.",
        (
            Field("task", STRING, "the task"), _MODEL,
            Field("baseline", STRING, "the model that it is compared with"),
            Field("direction", STRING, "`better` or `worse`: how the model did"),
        ),
        (
            Field("answer", ANYTHING, "the model's answer, as in the records of answers"),
            Field("baseline_answer", ANYTHING, "that of the baseline"),
            Field("target", ANYTHING, "the right answer"),
            Field("metric", STRING, "the name of the metric"),
            Field("value", NUMBER, "the model's value for the item, the mean over shot seeds"),
            Field("baseline_value", NUMBER, "that of the baseline"),
            _FILTER,
            Field("prompt", STRING, "the prompt that the baseline was given"),
            Field("choices", LIST, "the choices"), _LANGUAGE,
        ),
        mark="direction",
    ),
    "manifest": Kind(
        "How a file was made: what stands in its `.manifest.json`.",
        (Field("verb", STRING, "the verb that made it"), Field("version", STRING, "the version of latxa")),
        (
            Field("argv", LIST, "the command line"), Field("settings", OBJECT, "the value of each flag"),
            Field("inputs", LIST, "the files that were read: {`path`, `bytes`, `xxh3_128`}"),
            Field("outputs", LIST, "the files that were made"),
            Field("counts", OBJECT, "how many records came `in`, went `out`, and were `rejected`, by reason"),
            Field("seconds", NUMBER, "the time that it took"),
        ),
        mark="argv",
        is_named=False,
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
