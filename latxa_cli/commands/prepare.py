"""`latxa prepare`: data tokenised, marked and packed, ready for training."""

from typing import Annotated

from latxa_cli.options import (
    ChatLoss,
    ChatTemplate,
    ExecutorName,
    Memory,
    Model,
    Run,
    Shard,
    TrustRemoteCode,
    Workers,
    WorkFolder,
    argument,
    flag,
    verb,
)

Sources = Annotated[list[str] | None, argument("Files, folders, quoted globs, `hf:NAME`, or `-`: stdin.", "SOURCE")]
SequenceLength = Annotated[int, flag("Tokens of a packed row.", min=2)]
Show = Annotated[int | None, flag("Show N records as they are learnt. [default: 2 on a terminal]", metavar="N", min=0)]


@verb(makes="directory")
def prepare(
    run: Run, sources: Sources = None, *, model: Model, sequence_length: SequenceLength = 1024,
    chat_loss: ChatLoss = None, chat_template: ChatTemplate = None, show: Show = None, memory: Memory = "4GB",
    workers: Workers = None, executor: ExecutorName = "local", work: WorkFolder = None, shard: Shard = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:  # fmt: skip
    """Tokenise, mark and pack data for training, before any GPU is taken.

    in:  documents (every token is learnt) and conversations (answers are learnt, and the token that ends them), as
         `latxa mix` writes them; those whose `metadata.split` is another than `train` are left out
    out: a directory of packed rows for `latxa train`: 2 or 4 bytes a token, mapped into memory as they are read

    A document longer than a row is cut into pieces that hold every token. A conversation longer than a row ends with
    the last answer that fits.

    rejected: refused by the chat template, longer than the sequence (not even the first answer fits)

    examples:
      latxa prepare mix.jsonl.zst --model base --sequence-length 8192 -o prepared
      latxa prepare mix.jsonl.zst --model base --shard 3/16 -o prepared.3 --resume
      latxa prepare mix.jsonl --model tiny --chat-loss all --chat-loss eu=assistant -o prepared
    """
    from latxa_cli.stages import open_work, plan_of
    from latxa_cli.training.config import chat_losses
    from latxa_cli.training.data import prepare as room
    from latxa_cli.training.data.show import marked

    found = run.sources(sources)
    run.depends_on(model)
    run.depends_on(chat_template)
    loss, losses = chat_losses(chat_loss or [])
    template = room.template_of(chat_template)
    settings = room.settings_for(
        model, sequence_length, loss or "assistant", losses, chat_template=template, shard=shard or (0, 1),
        trust_remote_code=trust_remote_code,
    )  # fmt: skip
    with open_work(
        run, run.work_folder(work), plan_of(run), room.MODULES,
        executor=executor, workers=workers, most=memory // room.WORKER_BYTES,
    ) as place:  # fmt: skip
        made = room.prepare(found, settings, place, run.directory, set_aside=run.sets_aside)
        run.account(made.read, made.inputs, made.rejects())
    run.say_all(made.lines())
    run.note(sources=made.rows.shares, rows=len(made.rows), tokens=made.rows.tokens, fill=round(made.rows.fill, 4))
    for parts in marked(made.rows, room.tokenizer_of(settings), 2 * run.terminal.draws if show is None else show):
        run.terminal.marked(parts)
