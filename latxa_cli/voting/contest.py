"""What voters can be shown: prompts, and the models that answered each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.records import Record, content_id, user_turns


@dataclass
class Contest:
    """What is shown.

    answers: by id of the prompt, and by model, the response; of prompts with two answers or more.
    models: in the order of their names. remark: what is to be said of responses that are missing, or empty.
    """

    answers: dict[str, dict[str, Record]]
    models: list[str]
    remark: str


def contest_of(responses: Iterable[Record]) -> Contest:
    """Return the contest of responses of two models or more.

    Responses to one prompt have the same id, or, where no two models share an id, the same turns of the user.

    Raises UsageError for fewer models or prompts without a second answer; LatxaError where prompts differ.
    """
    responses = list(responses)
    models = sorted({response["model"] for response in responses})
    if len(models) < 2:
        found = f"there is only `{models[0]}`" if models else "there are no responses"
        raise UsageError(
            f"votes need the responses of two models or more: {found}", hint="`latxa vote A.jsonl B.jsonl`"
        )
    answers = _by_id(responses)
    if all(len(of_prompt) < 2 for of_prompt in answers.values()):
        first = responses[0]["id"]
        answers = _by_turns(responses)
        if all(len(of_prompt) < 2 for of_prompt in answers.values()):
            raise UsageError(f"no prompt was answered by two models: `{first}` by `{responses[0]['model']}` alone")
    shown = {prompt: of_prompt for prompt, of_prompt in answers.items() if len(of_prompt) > 1}
    return Contest(shown, models, _remark(answers, models))


def _remark(answers: dict[str, dict[str, Record]], models: list[str]) -> str:
    lacking = [(prompt, model) for prompt, of_prompt in answers.items() for model in models if model not in of_prompt]
    if not lacking:
        return ""
    prompt, model = lacking[0]
    return f"{len(lacking):,} responses are missing, such as that of `{model}` to `{prompt}`: no pairs with them"


def _by_id(responses: list[Record]) -> dict[str, dict[str, Record]]:
    answers: dict[str, dict[str, Record]] = {}
    for response in responses:
        of_prompt = answers.setdefault(response["id"], {})
        _add(of_prompt, response, response["id"])
        first = next(iter(of_prompt.values()))
        if user_turns(first["messages"]) != user_turns(response["messages"]):
            raise LatxaError(
                f"`{first['model']}` and `{response['model']}` answered different prompts under the id "
                f"`{response['id']}`",
                hint="prompts of one id are the same",
            )
    return answers


def _by_turns(responses: list[Record]) -> dict[str, dict[str, Record]]:
    answers: dict[str, dict[str, Record]] = {}
    for response in responses:
        prompt = content_id({"turns": user_turns(response["messages"])})
        _add(answers.setdefault(prompt, {}), response, response["id"])
    return answers


def _add(of_prompt: dict[str, Record], response: Record, prompt: str) -> None:
    if response["model"] in of_prompt:
        raise LatxaError(f"`{response['model']}` has two responses to the prompt `{prompt}`", hint="leave one out")
    of_prompt[response["model"]] = response
