"""`latxa prepare`: data tokenised, marked and packed, ready for training."""

from typing import Annotated

from latxa_cli.options import (
    ChatLoss,
    ChatTemplate,
    ExecutorName,
    FoldSystem,
    Memory,
    Model,
    Run,
    Shard,
    TemplateDate,
    TrustRemoteCode,
    Workers,
    WorkFolder,
    argument,
    flag,
    verb,
)

Sources = Annotated[list[str] | None, argument("Files, folders, quoted globs, `hf:NAME`, or `-`: stdin.", "SOURCE")]
SequenceLength = Annotated[int, flag("Tokens of a packed row.", min=2)]
Show = Annotated[
    int | None, flag("Show N records with their trained tokens marked. [default: 2 on a terminal]", metavar="N", min=0)
]


@verb(makes="directory")
def prepare(
    run: Run, sources: Sources = None, *, model: Model, sequence_length: SequenceLength = 1024,
    chat_loss: ChatLoss = None, chat_template: ChatTemplate = None, fold_system: FoldSystem = None, show: Show = None,
    memory: Memory = "4GB", workers: Workers = None, executor: ExecutorName = "local", work: WorkFolder = None,
    shard: Shard = None, date: TemplateDate = None, trust_remote_code: TrustRemoteCode = False,
) -> None:  # fmt: skip
    """Tokenise, mark and pack data for training, before any GPU is in use.

    in:  documents and conversations, as `latxa mix` writes them
    out: a directory of packed rows for `latxa train`, of 2 or 4 bytes a token

    The loss counts every token of a document. Of a conversation it counts the answers and the tokens that end them
    (see --chat-loss), but no message with `weight: 0` or `train: false`. A document longer than a row is cut into
    pieces. A conversation longer than a row ends with the last answer that fits. A record with another
    `metadata.split` than `train` is left out.

    rejected: refused by the chat template; a field not in the chat template; calls, tools or thoughts in a form that
              is not read; a weight other than 0 and 1, or another field about the loss that is not read; nothing of it
              is trained; longer than the sequence (not even the first answer fits); special token in the text; a
              document without text. A source of whose conversations none is left ends the run.

    examples:
      latxa prepare mix.jsonl.zst --model base --sequence-length 8192 -o prepared
      latxa prepare mix.jsonl.zst --model base --shard 3/16 -o prepared.3 --resume
      latxa prepare mix.jsonl --model tiny --chat-loss all --chat-loss eu=assistant -o prepared
    """
    from latxa_cli.stages import day_of, open_work, plan_of
    from latxa_cli.training.config import chat_losses
    from latxa_cli.training.data import prepare as room
    from latxa_cli.training.data.show import marked
    from latxa_cli.training.data.tokenised import TokenisingSettings

    inputs = run.sources(sources)
    run.depends_on(model)
    run.depends_on(chat_template)
    losses = chat_losses(chat_loss)
    template = room.template_of(chat_template)
    tokenising = TokenisingSettings.of(
        sequence_length, losses["chat_loss"] or "assistant", losses["source_loss"], fold_system=bool(fold_system)
    )
    folder = run.work_folder(work)
    day = day_of(run, folder).isoformat()
    settings = room.settings_for(
        model, tokenising, chat_template=template, day=day, shard=shard or (0, 1), trust_remote_code=trust_remote_code
    )
    with open_work(
        run, folder, plan_of(run, date=day), room.MODULES,
        executor=executor, workers=workers, most=memory // room.WORKER_BYTES,
    ) as place:  # fmt: skip
        preparation = room.prepare(
            inputs, settings, place, run.directory, set_aside=run.sets_aside, account=run.account
        )
    run.say_all(preparation.lines())
    rows = preparation.rows
    run.note(sources=rows.shares, rows=len(rows), tokens=rows.tokens, fill=round(rows.fill, 4))
    for parts in marked(rows, room.tokenizer_of(settings), 2 * run.terminal.draws if show is None else show):
        run.terminal.marked(parts)
