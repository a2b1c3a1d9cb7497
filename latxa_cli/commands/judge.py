"""`latxa judge`."""

from typing import Annotated

from latxa_cli.options import Files, Run, Shard, flag, verb
from latxa_cli.stream.errors import UsageError


@verb
def judge(
    run: Run,
    files: Files = None,
    *,
    rubric: Annotated[str, flag("The rubric of the comparison; there is `reference`.", metavar="NAME")] = "reference",
    references: Annotated[
        str | None, flag("Prompts {id, reference}; they win over the responses' own.", metavar="FILE")
    ] = None,
    margin: Annotated[float, flag("The largest difference of scores that is a tie.", min=0.0)] = 0.0,
    shard: Shard = None,
) -> None:
    """Compare the responses of two or more models.

    in:  two or more files of responses {id, messages, model, reference}, one file a model
    out: battles {id, prompt_id, model_a, model_b, winner, judge, conversation_a, conversation_b}

    Responses to one prompt have the same id. The first file decides which ids are judged.

    The rubric `reference` compares the last answers with the reference of the prompt, which stands in a response or in
    --references. The higher score wins: sacreBLEU's sentence chrF with its default settings, from 0 to 100. The
    manifest holds its signature.

    memory: all files but the first, and the references

    examples:
      latxa judge ours.jsonl theirs.jsonl > battles.jsonl
      latxa judge a.jsonl b.jsonl c.jsonl --references prompts.jsonl --margin 1 | latxa arena-score --prior 1
    """
    from latxa_cli.judging.judge import Contender, Judge, rubric_named

    if not files or len(files) < 2:
        raise UsageError("a comparison needs two files of responses or more", hint="`latxa judge A.jsonl B.jsonl`")
    chosen = rubric_named(rubric)
    others = [Contender.of(name, run.read_all(name, "response")) for name in files[1:]]
    prompts = run.read_all(references, "prompt") if references else []
    reference_texts = {prompt["id"]: prompt.get("reference") for prompt in prompts}
    run.note(judge=chosen.signature)
    run.write(Judge(chosen, margin, reference_texts).battles(run.read(files[:1], "response"), others))
    if shard is None and not run.destination.resume:  # a part of a run does not see all ids of the first file
        for other in others:
            if unmet := len(other.responses) - len(other.met):
                run.note(**{f"not judged of {other.name}": unmet})
                run.say(f"{unmet:,} of {other.name} not judged: {files[0]} lacks their ids")
