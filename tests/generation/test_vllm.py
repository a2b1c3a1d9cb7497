"""What is the vLLM engine's own: its options, and how it behaves as a process (quiet, killed, short of memory)."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import psutil
import pytest
import tiny
from tiny import Latxa

from latxa_cli.generation.engine import Decoding, EngineOptions, Request, _chosen, open_engine
from latxa_cli.stream.errors import LatxaError

pytest.importorskip("vllm", reason="`vllm` is not installed: `recipes/test-vllm.sh` runs its tests")

LIGHT = ("--engine-option", "enforce_eager=true", "--engine-option", "kv_cache_memory_bytes=64M")
LAX = ("--max-tokens", "30", "--skip", "beginning", "--skip", "short", "--skip", "near")  # a tiny model fails these
SECONDS = 400  # vLLM starts up to two processes more, each of which loads everything: a minute on an idle machine


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    draw = random.Random(0)
    questions = [tiny.sentence(draw, 3) for _ in range(300)]
    return tiny.write_jsonl(
        tmp_path / "prompts.jsonl", [{"id": f"q{number}", "prompt": text} for number, text in enumerate(questions)]
    )


def command(model: Path, *more: str | Path) -> list[str | Path]:
    return ["respond", "-m", model, "--max-tokens", "30", "--engine", "vllm", *LIGHT, *more]


def test_a_run_is_quiet_and_gives_what_transformers_gives(
    latxa: Latxa, installed: Latxa, tiny_models: Path, prompts: Path, tmp_path: Path
) -> None:
    """The model's own generation configuration changes nothing: its repetition penalty would."""
    model = tmp_path / "trained"
    shutil.copytree(tiny_models / "trained", model)
    settings = model / "generation_config.json"
    settings.write_bytes(orjson.dumps(orjson.loads(settings.read_bytes()) | {"repetition_penalty": 9.0}))
    found = installed(*command(model, prompts, "--take", "20"), timeout=SECONDS)
    assert found.returncode == 0, found.stderr.decode()
    assert found.stderr.count(b"\n") == 1 and found.stderr.startswith(b"latxa respond: 20 in, 20 out")
    options = ["respond", "-m", tiny_models / "trained", "--max-tokens", "30", "--engine", "transformers"]
    expected = latxa(*options, prompts, "--take", "20")
    assert found.stdout == expected.stdout and found.stdout.count(b"\n") == 20


def test_two_hundred_draws_are_valid_records(installed: Latxa, tiny_models: Path) -> None:
    """vLLM's log, which is asked for here, goes to stderr alone."""
    model, given = tiny_models / "trained", ("-n", "200", *LAX, "--engine", "vllm", *LIGHT, "--verbose")
    found = installed("sample", "-m", model, *given, timeout=SECONDS)
    assert found.returncode == 0 and b"INFO" in found.stderr, found.stderr.decode()
    assert len(tiny.checked_conversations(found.stdout)) > 100


def test_a_killed_run_goes_on_and_leaves_no_process(
    installed: Latxa, tiny_models: Path, prompts: Path, tmp_path: Path
) -> None:
    others = {child.pid for child in psutil.Process().children(recursive=True)}
    output = tmp_path / "out.jsonl"
    part = tmp_path / "out.jsonl.part"
    words = command(tiny_models / "trained", prompts, "-o", output, "--batch-size", "4", "--resume")
    process = subprocess.Popen([tiny.BINARY, *words], cwd=tmp_path, stderr=subprocess.DEVNULL)
    wait_for(lambda: size(part) > 0, SECONDS)
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not output.exists(), "killed in the middle of its work"
    wait_for(lambda: not any(child.is_running() for child in started))
    done = installed(*words, timeout=SECONDS)
    assert done.returncode == 0, done.stderr.decode()
    assert [record["id"] for record in records(output)] == [f"q{number}" for number in range(300)]
    assert not {child.pid for child in psutil.Process().children(recursive=True)} - others, "it ends its processes"


def test_a_process_of_vllm_that_dies_is_told(tiny_models: Path, prompts: Path, tmp_path: Path) -> None:
    part = tmp_path / "out.jsonl.part"
    words = command(tiny_models / "trained", prompts, "-o", tmp_path / "out.jsonl", "--batch-size", "1")
    process = subprocess.Popen([tiny.BINARY, *words], cwd=tmp_path, stderr=subprocess.PIPE)
    wait_for(lambda: size(part) > 0, SECONDS)
    next(one for one in psutil.Process(process.pid).children(recursive=True) if one.name() == "VLLM::EngineCore").kill()
    said = process.communicate(timeout=SECONDS)[1].decode()
    assert process.returncode == 1 and said.startswith("latxa: vLLM broke down with `") and "ended\n" in said, said


def test_auto_is_vllm_where_there_is_a_gpu() -> None:
    import torch

    assert _chosen(EngineOptions()) == ("vllm" if torch.cuda.is_available() else "transformers")
    assert _chosen(EngineOptions(device="cpu")) == "transformers"
    assert _chosen(EngineOptions(base_url="http://localhost:1/v1")) == "openai"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("tensor_paralel_size=2", "the engine has no option `tensor_paralel_size`"),
        ("max_model_len=long", "`--engine-option max_model_len=long`: not what vLLM takes"),
        ("enforce_eager=1", "`--engine-option enforce_eager=1`: not `true` or `false`"),
        ("data_parallel_size=2", "vLLM runs its replicas (`data_parallel_size`) in processes that are started apart"),
        ("quantization=none_such", "vLLM cannot load `{model}`: Unknown quantization method: none_such."),
    ],
)
def test_an_option_that_cannot_be_is_one_line(tiny_models: Path, option: str, message: str) -> None:
    model = str(tiny_models / "trained")
    with pytest.raises(LatxaError) as caught:
        open_engine(model, EngineOptions(engine="vllm", engine_option=(option,)))
    assert caught.value.message.startswith(message.format(model=model)) and "\n" not in caught.value.message


def test_too_little_memory_is_one_line_with_a_hint(installed: Latxa, tiny_models: Path) -> None:
    model = tiny_models / "trained"
    given = ("--engine", "vllm", "--engine-option", "kv_cache_memory_bytes=1k")
    found = installed("sample", "-n", "1", "-m", model, *given, timeout=SECONDS)
    line, hint = found.stderr.decode().splitlines()
    assert found.returncode == 1 and found.stdout == b""
    assert line.startswith(f"latxa: vLLM cannot load `{model}`: ") and "memory" in line and "--gpu-memory" in hint


def records(path: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_schema_is_obeyed(tiny_models: Path) -> None:
    engine = open_engine(str(tiny_models / "trained"), EngineOptions(engine="vllm", engine_option=[*LIGHT[1::2]]))
    schema = {
        "type": "object",
        "properties": {name: {"type": "string", "maxLength": 9} for name in ("user_1", "assistant_2")},
        "required": ["user_1", "assistant_2"],
        "additionalProperties": False,
    }
    asked = [Request(Decoding(60, 1.0), seed, text="English: a\nEuskara:", schema=schema) for seed in range(8)]
    texts = [completion.text for _, completion in engine.generate(asked) if completion.finish_reason == "stop"]
    assert engine.constrains and texts
    assert all(list(orjson.loads(text)) == ["user_1", "assistant_2"] for text in texts)
