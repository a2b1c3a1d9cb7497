"""What a results file of lm-evaluation-harness tells of its run, and what follows from it.

The harness changed twice what a model sees without a trace in the configuration of tasks:

- Pull request 2475, merged on 2024-11-11, took away the delimiter before choices under a chat template.
- Pull request 3347, in release 0.4.9.2, lets tokenizers put a BOS before plain prompts, where none was before.

A release tells which behaviour a run had. So does a date before the change. A later date does not, since older releases
stayed in use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath

import orjson

from latxa_cli.report.reading.values import Parts, iso_date, member, number, text
from latxa_cli.stream.records import JsonObject, Record

SPACE = " "  # the harness's own delimiter
WITHOUT_DELIMITER = (0, 4, 6)  # the first release with PR 2475
WITHOUT_DELIMITER_SINCE = datetime(2024, 11, 11, tzinfo=UTC).timestamp()
BOS_BY_TOKENIZER = (0, 4, 9, 2)  # the first release with PR 3347
BOS_BY_TOKENIZER_SINCE = datetime(2025, 10, 1, tzinfo=UTC).timestamp()
COMMIT = 16  # hex digits of a commit in `weights`, as in the records of `eval`
SMALL = (
    "config", "date", "git_hash", "lm_eval_version", "model_name", "model_name_sanitized", "chat_template_sha",
    "system_instruction", "system_instruction_sha", "fewshot_as_multiturn",
)  # fmt: skip
NO_TEMPLATE = (b"", b"null", b'""', b"false")
ADDRESS = re.compile(rb" at 0x[0-9a-f]+")  # of a function in the memory of its run


@dataclass(frozen=True)
class Circumstances:
    """What all results of one file have in common.

    - record: the fields of a result: `model`, `path`, `weights`, `chat`; metadata: those of its `metadata`.
    - unlike: what sets the run apart from others on the same tasks, as JSON.
    - bare: whether choices followed a chat template without a delimiter; None where it cannot be known.
    """

    record: Record
    metadata: Record
    unlike: bytes
    bare: bool | None

    @property
    def chat(self) -> bool:
        return bool(self.record["chat"])


def circumstances(parts: Parts, file: str) -> Circumstances:
    """Return the circumstances of the results file `file`, whose content is `parts`."""
    document: JsonObject = {name: orjson.loads(parts[name]) for name in SMALL if name in parts}
    config = member(document, "config")
    arguments = _model_arguments(config)
    version = _release(text(document, "lm_eval_version"))
    date = number(document.get("date"))
    # A server of chats has a template of its own.
    chat = parts.get("chat_template", b"") not in NO_TEMPLATE or "chat-completions" in text(config, "model")
    commit = text(config, "model_sha")
    name = (
        text(document, "model_name") or arguments.get("pretrained") or arguments.get("model") or text(config, "model")
    )
    record: Record = {"path": _path(name, arguments, config), "chat": chat, "source": file}
    if commit:
        record["weights"] = commit[:COMMIT]
    metadata = {
        "date": iso_date(date),
        "harness": f"lm_eval {text(document, 'lm_eval_version')}".strip(),
        "git_hash": text(document, "git_hash") or None,
        "bos": None if chat else _bos(arguments, text(config, "model"), version, date),
    }
    return Circumstances(
        {"model": _short_name(file, name, text(document, "model_name_sanitized")), **record},
        {key: value for key, value in metadata.items() if value is not None},
        orjson.dumps(
            [
                text(document, "chat_template_sha"),
                text(document, "system_instruction_sha", "system_instruction"),
                document.get("fewshot_as_multiturn") is True,
                metadata["bos"],
                *(config.get(key) for key in ("limit", "gen_kwargs", "fewshot_seed")),
            ]
        ),
        _is_bare(parts.get("configs", b""), version, date),
    )


# --- the model -------------------------------------------------------------------------------------------------------


def _model_arguments(config: JsonObject) -> dict[str, str]:
    """Return the arguments of the model, which older versions write as `pretrained=MODEL,dtype=bfloat16`."""
    arguments = config.get("model_args")
    if type(arguments) is dict:
        return {key: str(value) for key, value in arguments.items()}
    pairs = (part.partition("=") for part in arguments.split(",")) if type(arguments) is str else ()
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def _short_name(file: str, name: str, sanitized: str) -> str:
    """Return the model as people call it: the end of its folder's name, as the harness writes them, or of its own."""
    folder = PurePath(file).parent.name
    if "__" in folder or folder == sanitized != "":
        return folder.split("__")[-1] or folder
    return name.rstrip("/").rpartition("/")[2] or name or PurePath(file).stem


def _path(name: str, arguments: dict[str, str], config: JsonObject) -> str:
    """Return what the model was loaded from: a path or a name on the hub, with a revision and an adapter if given."""
    revision = arguments.get("revision") or text(config, "model_revision")
    adapter = arguments.get("peft") or arguments.get("delta")
    path = arguments.get("pretrained") or arguments.get("model") or name
    path += f"@{revision}" if revision not in ("", "main") else ""
    return f"{path}+{adapter}" if adapter and adapter != "None" else path


# --- what the model saw ----------------------------------------------------------------------------------------------


def _is_bare(configs: bytes, version: tuple[int, ...], date: float | None) -> bool | None:
    if version >= WITHOUT_DELIMITER:
        return True
    if (version and version < (0, 4, 5)) or (date is not None and date < WITHOUT_DELIMITER_SINCE):
        return False
    # This key came between releases 0.4.5 and 0.4.8, two months after the delimiter went.
    return True if b'"unsafe_code"' in configs else None


def _bos(arguments: dict[str, str], model: str, version: tuple[int, ...], date: float | None) -> bool | None:
    """Whether a BOS stood before plain prompts; None where it cannot be known."""
    if model not in ("hf", "hf-causal", "hf-causal-experimental", "huggingface", "hf-auto"):
        return None
    if "add_bos_token" in arguments:
        return arguments["add_bos_token"] == "True"
    older = version < BOS_BY_TOKENIZER if version else date is not None and date < BOS_BY_TOKENIZER_SINCE
    return False if older and "gemma" not in arguments.get("pretrained", "").lower() else None


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers of a release; no numbers for a version that is none."""
    found = re.match(r"\d{1,4}(\.\d{1,4})*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
