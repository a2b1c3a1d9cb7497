"""What a run exports, in vLLM: its likelihoods are those of the network that was trained, and answers end."""

from __future__ import annotations

import json
import os
import sys

import pytest
import readers
import torch

from latxa_cli.model import load_model
from latxa_cli.tokenizer import load_tokenizer
from latxa_cli.training.backends.torch_backend import TorchBackend
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.metrics import METRICS
from latxa_cli.training.processes import Processes
from latxa_cli.training.session import LoadedModel, RunListeners, run

vllm = pytest.importorskip("vllm", reason="`vllm` is not installed: `recipes/test-vllm.sh` runs its tests")


def test_vllm_gives_the_likelihoods_of_the_trainer(tiny_models, prepared, records, tmp_path, monkeypatch):
    base = str(tiny_models / "base")
    monkeypatch.setitem(os.environ, "VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # in this process: it starts sooner
    rows = prepared(records, model=base).rows
    config = TrainConfig(epochs=3, learning_rate=1e-2, sequence_length=64)
    model, processes = load_model(base, device="cpu"), Processes()
    loaded = LoadedModel(base, model, load_tokenizer(base), processes, TorchBackend(config, processes))
    silent = RunListeners(report=lambda _: None, warn=lambda _: None, give_up=lambda _, __: None)
    facts = run(loaded, rows, config, tmp_path / "out", resume=False, listeners=silent)
    assert facts["steps"] == len((tmp_path / "out" / METRICS).read_text().splitlines())
    network = model.eval()
    ids = rows.batch([0]).input_ids[0, :24].tolist()
    with torch.no_grad():
        expected = network(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    engine = vllm.LLM(
        str(tmp_path / "out"), dtype="float32", enforce_eager=True, kv_cache_memory_bytes=64 << 20, max_model_len=64
    )
    asked = vllm.SamplingParams(max_tokens=1, prompt_logprobs=0, temperature=0.0)
    (answer,) = engine.generate([{"prompt_token_ids": ids}], asked, use_tqdm=False)
    for place, (token, found) in enumerate(zip(ids[1:], answer.prompt_logprobs[1:], strict=True)):
        assert found[token].logprob == pytest.approx(expected[place, token].item(), abs=1e-4)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["use_cache"] is True


@pytest.mark.parametrize("kind", readers.KINDS)
def test_vllm_has_the_logits_of_the_trained_weights_and_stops_after_an_answer(kind, latxa, tmp_path):
    model = readers.learnt(kind, tmp_path / kind, latxa)
    (found,) = readers.read(sys.executable, readers.VLLM, {kind: model}).values()
    assert readers.difference(found, readers.as_trained(model)) <= 1e-4
    assert readers.stops(found, kind, model)
