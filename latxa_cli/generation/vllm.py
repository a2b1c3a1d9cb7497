"""The vLLM engine, in this process: continuous batches on one GPU or many, with the pages of shared prefixes kept.

It is fed one request at a time as it has room, and gives each completion back in the step that ends it. How its
engine core runs (in a process of its own, as vLLM does by default, or in this one) is vLLM's to say.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing.connection
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, replace
from functools import partial
from types import SimpleNamespace
from typing import IO, Any, get_args

from latxa_cli.chat.rendering import set_date
from latxa_cli.generation.engine import Completion, EngineOptions, Request, engine_options
from latxa_cli.generation.lines import constraint
from latxa_cli.generation.prompts import Codec
from latxa_cli.stream.errors import LatxaError, UsageError, first_line
from latxa_cli.tokenizer import load_tokenizer

WINDOW = 4  # as many conversations as this times the sequences at once: a long one holds up no other
CPU_MEMORY = 0.4  # vLLM's own share is made for a GPU that is its alone, and fails where others use the memory too
# EngineArgs that `latxa` has flags for, or decides itself.
OURS = {"model", "tokenizer", "trust_remote_code", "max_num_seqs", "gpu_memory_utilization", "device_ids"}

# What comes of arguments that it checks, a model that it reads, and memory that it takes.
REFUSALS = (ValueError, TypeError, RuntimeError, OSError, MemoryError, AssertionError, LookupError, ImportError)


def load(model: str, options: EngineOptions) -> VllmEngine:
    """Load a model directory or hub name.

    Raises LatxaError when it cannot be loaded or the memory does not suffice, UsageError for an option or a value that
    vLLM does not know.
    """
    tokenizer = load_tokenizer(model, trust_remote_code=options.trust_remote_code)
    set_date(tokenizer, options.day)
    with _aside(shown=options.verbose) as log:
        from vllm import EngineArgs, LLMEngine
        from vllm.usage.usage_lib import UsageContext

        arguments = _arguments(model, options)
        try:
            engine = LLMEngine.from_engine_args(EngineArgs(**arguments), usage_context=UsageContext.LLM_CLASS)
        except REFUSALS as error:
            raise _failure(f"vLLM cannot load `{model}`", error, log) from None
    _end_with_us(engine)
    return VllmEngine(model, tokenizer, engine, log)


class VllmEngine:
    """See `generation.engine.Engine`."""

    constrains = weighs = True

    def __init__(self, name: str, tokenizer: Any, engine: Any, log: IO[str]) -> None:
        self.name, self.tokenizer, self.engine, self.log = name, tokenizer, engine, log
        config = engine.model_config
        sequences = engine.vllm_config.scheduler_config.max_num_seqs
        self.window = sequences * WINDOW
        self.room = sequences + sequences // 4 + 1  # some wait, so that a sequence that ends is followed at once
        self.codec = Codec(
            tokenizer,
            SimpleNamespace(**config.try_get_generation_config()),
            vocabulary=config.get_vocab_size(),
            context=config.max_model_len,
        )
        self.context = self.codec.context

    def facts(self) -> dict[str, Any]:
        import torch
        import vllm

        config, parallel = self.engine.model_config, self.engine.vllm_config.parallel_config
        return {
            "model": self.name,
            "revision": getattr(config.hf_config, "_commit_hash", None),
            "engine": "vllm",
            "engine_version": vllm.__version__,
            "torch_version": torch.__version__,
            "dtype": str(config.dtype).removeprefix("torch."),
            "quantization": config.quantization,
            "device": vllm.platforms.current_platform.get_device_name(),
            "tensor_parallel_size": parallel.tensor_parallel_size,
            "pipeline_parallel_size": parallel.pipeline_parallel_size,
            "context": config.max_model_len,
            "batch_invariant": bool(vllm.envs.VLLM_BATCH_INVARIANT),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }

    @property
    def prompt_tokens(self) -> int:
        return self.codec.prompt_tokens

    @property
    def completion_tokens(self) -> int:
        return self.codec.completion_tokens

    def generate(self, requests: Iterable[Request | None]) -> Iterator[tuple[int, Completion]]:
        source, place = iter(requests), 0
        running: dict[str, tuple[int, Request, int]] = {}  # by vLLM's name of it: place, request, tokens of its prompt
        more, wait = True, False
        try:
            while more or running:
                while more and len(running) < self.room and not (wait and running):
                    request: Any = next(source, _END)
                    more, wait = request is not _END, request is None
                    if wait or not more:
                        continue
                    prompt = self.codec.encode(request)
                    if isinstance(prompt, Completion):
                        yield place, prompt
                    else:
                        self._add(str(place), request, prompt)
                        running[str(place)] = place, request, len(prompt)
                    place += 1
                for name, written in self._step() if running else ():
                    done, request, length = running.pop(name)
                    completion = self.codec.completion(request, length, list(written.token_ids))
                    yield done, _weighed(completion, request, written)
                    wait = False
        finally:  # whoever asked may stop asking
            self.engine.abort_request(list(running))

    def _add(self, name: str, request: Request, prompt: list[int]) -> None:
        from vllm.inputs import tokens_input

        with self._breakdowns():
            try:
                self.engine.add_request(name, tokens_input(prompt), self._sampling(request, prompt))
            except ValueError as error:  # a temperature above 2, say
                raise LatxaError(f"vLLM refuses a request: {first_line(error)}") from None

    def _sampling(self, request: Request, prompt: list[int]) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        decoding = request.decoding
        return SamplingParams(
            max_tokens=self.codec.room(request, prompt),
            temperature=decoding.temperature,
            top_p=max(decoding.top_p, 1e-6),  # above 0 for vLLM: the likeliest token is left
            seed=request.seed % 2**63,
            stop=list(decoding.stop),
            stop_token_ids=self.codec.ends,
            detokenize=bool(decoding.stop),  # the codec decodes what is complete, as for every engine
            skip_special_tokens=False,
            spaces_between_special_tokens=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
            structured_outputs=None
            if request.schema is None
            else StructuredOutputsParams(**constraint(request.schema)),
            logprob_token_ids=list(dict.fromkeys(request.choice_tokens)) or None,
        )

    def _step(self) -> Iterator[tuple[str, Any]]:
        """Do one step of all that runs; yield (name, what was written) of what it ended."""
        with self._breakdowns():
            outputs = self.engine.step()
        for output in outputs:
            if output.finished:
                yield output.request_id, output.outputs[0]

    @contextlib.contextmanager
    def _breakdowns(self) -> Iterator[None]:
        import torch
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            yield
        except (EngineDeadError, torch.OutOfMemoryError) as error:
            raise _failure(f"vLLM broke down with `{self.name}`", error, self.log) from None


_END: Any = object()


def _weighed(completion: Completion, request: Request, written: Any) -> Completion:
    """Return the completion with the log-probabilities of the request's choices, if it has any."""
    if not request.choice_tokens or not written.logprobs:
        return completion
    first = written.logprobs[0]
    return replace(completion, likelihoods=tuple(first[token].logprob for token in request.choice_tokens))


# --- arguments -------------------------------------------------------------------------------------------------------


def _arguments(model: str, options: EngineOptions) -> dict[str, Any]:
    """Return vLLM's EngineArgs by name."""
    from vllm.platforms import current_platform

    arguments: dict[str, Any] = {
        "model": model,
        "trust_remote_code": options.trust_remote_code,
        "enable_prefix_caching": True,
        "disable_log_stats": True,
        "log_level": "INFO" if options.verbose else "ERROR",
    }
    if current_platform.is_cpu():
        # vLLM 0.32 has no seeds on a CPU for prompts that it reads in parts.
        arguments |= {"dtype": "float32", "gpu_memory_utilization": CPU_MEMORY, "enable_chunked_prefill": False}
    if options.device is not None:
        arguments |= _device(options.device, current_platform.device_type)
    flags = {"max_num_seqs": options.batch_size, "gpu_memory_utilization": options.gpu_memory}
    arguments |= {name: value for name, value in flags.items() if value is not None}
    arguments |= engine_options(options.engine_option, _known())
    if arguments.get("data_parallel_size", 1) > 1:  # it would wait for the others for ever
        raise UsageError(
            "vLLM runs its replicas (`data_parallel_size`) in processes that are started apart",
            hint="start one a GPU: `--shard 0/2 --device cuda:0`, `--shard 1/2 --device cuda:1`",
        )
    return arguments


def _device(name: str, kind: str) -> dict[str, Any]:
    given, _, number = name.partition(":")
    if given != kind or (number and not number.isdecimal()):
        raise UsageError(f"this vLLM runs on `{kind}`, not on `{name}`", hint="leave `--device` out")
    return {"device_ids": [int(number)]} if number else {}


def _known() -> dict[str, Callable[[str], Any]]:
    """Return vLLM's own arguments by name, each with what makes a value of a text: vLLM's own parser."""
    from vllm import EngineArgs
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    class Parser(FlexibleArgumentParser):
        def error(self, message: str) -> Any:
            raise ValueError("what vLLM takes: " + message.partition(": ")[2])

    parser = EngineArgs.add_cli_args(Parser(add_help=False))

    def parsed(name: str, text: str) -> Any:
        return getattr(parser.parse_args([f"--{name.replace('_', '-')}={text}"]), name)

    known: dict[str, Callable[[str], Any]] = {}
    for field in fields(EngineArgs):
        if field.name not in OURS and not field.name.startswith("_"):
            kinds = {field.type, *get_args(field.type)} - {type(None)}
            truth = bool in kinds and str not in kinds
            known[field.name] = bool if truth else partial(parsed, field.name)
    return known


# --- processes -------------------------------------------------------------------------------------------------------


def _end_with_us(engine: Any) -> None:
    """Have vLLM's processes end when this one does, and when it is killed: else they would keep the GPU.

    At the end: before `multiprocessing` waits for them, for which it must come after its `atexit`. And the other way
    round: vLLM 0.32 waits for ever for what a process that was killed has not sent.
    """
    if children := multiprocessing.active_children():
        # The end of its stdin, which only we hold open, is our end.
        watch = subprocess.Popen(
            ["sh", "-c", 'read -r _; kill -9 "$@" 2> /dev/null', "sh", *(str(child.pid) for child in children)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        atexit.register(watch.kill)
    outputs = getattr(engine.engine_core, "outputs_queue", None)
    if outputs is not None:
        from vllm.v1.engine.exceptions import EngineDeadError

        def wait() -> None:
            multiprocessing.connection.wait([child.sentinel for child in children])
            outputs.put(EngineDeadError())

        threading.Thread(target=wait, daemon=True).start()
    atexit.register(engine.engine_core.shutdown)


# --- quiet, and what is said in the end ------------------------------------------------------------------------------


@contextlib.contextmanager
def _aside(*, shown: bool) -> Iterator[IO[str]]:
    """Keep what this process and those that it starts print out of the way: in a file, which is given, or on stderr.

    vLLM logs to stdout, libraries print to both streams from C++ too, and new processes inherit the streams.
    """
    log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace", buffering=1)  # noqa: SIM115
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    try:
        out = sys.stderr if shown else log
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            yield log
    finally:
        for stream, copy in enumerate(kept, 1):
            os.dup2(copy, stream)
            os.close(copy)


def _failure(what: str, error: Exception, log: IO[str]) -> LatxaError:
    reason = _reason(error, log)
    if re.search("memory|KV cache", reason):
        hint = "another share with `--gpu-memory`, or a shorter context: `--engine-option max_model_len=4096`"
    else:
        hint = "`--verbose` shows what vLLM has to say"
    return LatxaError(f"{what}: {reason}", hint=hint)


def _reason(error: Exception, log: IO[str]) -> str:
    """Return the reason in one line; where one of vLLM's own processes failed, it is in the log alone."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return error.errors()[0]["msg"].removeprefix("Value error, ").splitlines()[0]
    reason = first_line(error)
    if "above" in reason:
        log.seek(0)
        found = re.findall(r"\b\w+(?:Error|Exception): (.+)", log.read())
        return found[0] if found else "one of its processes ended"
    return reason
