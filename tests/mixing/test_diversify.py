from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixing_world import conversation, document, mix

from latxa_cli.mixing.diversify import Diversifier, instruction
from latxa_cli.mixing.draw import Decision
from latxa_cli.mixing.inputs import InputFlags
from latxa_cli.mixing.kmeans import cluster, nearest, spread_over
from latxa_cli.mixing.rows import ROW
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.text.embedding import Embedder


def keys(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**63, count, np.uint64)


def clouds(*sizes: int, spread: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Return points around as many far centres as there are sizes, and to which one each belongs."""
    draws = np.random.default_rng(1)
    centres = np.eye(len(sizes), 16) * 5
    truth = np.repeat(np.arange(len(sizes)), sizes)
    return (centres[truth] + draws.normal(0, spread, (len(truth), 16))).astype(np.float16), truth


# --- k-means ---------------------------------------------------------------------------------------------------------


def test_clouds_that_lie_apart_are_the_clusters() -> None:
    vectors, truth = clouds(300, 20, 5, 700)
    found = cluster(vectors, 4, keys(len(truth)))
    assert len(set(zip(found.tolist(), truth.tolist(), strict=True))) == 4


def test_a_sample_finds_the_same_clouds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latxa_cli.mixing.kmeans.SAMPLE", 100)
    vectors, truth = clouds(300, 300, 300)
    found = cluster(vectors, 3, keys(len(truth)))
    assert len(set(zip(found.tolist(), truth.tolist(), strict=True))) == 3


def test_there_may_be_more_clusters_than_a_sample_would_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latxa_cli.mixing.kmeans.SAMPLE", 3)
    vectors, truth = clouds(*[1] * 9)
    assert len(set(cluster(vectors, 9, keys(len(truth))).tolist())) == 9


def test_the_sample_is_drawn_by_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two clouds, the keys let one alone into the sample: it is split, and the other is one cluster with a part."""
    monkeypatch.setattr("latxa_cli.mixing.kmeans.SAMPLE", 40)
    vectors, truth = clouds(40, 40)
    for cloud in (0, 1):
        found = cluster(vectors, 2, np.where(truth == cloud, 0, 10**9).astype(np.uint64) + keys(80) % np.uint64(99))
        assert len(set(found[truth == cloud].tolist())) == 2 and len(set(found[truth != cloud].tolist())) == 1


def test_the_clusters_are_settled() -> None:
    """When Lloyd's algorithm is done, each vector is in the cluster whose mean is nearest, but for a few."""
    vectors, truth = clouds(300, 300, spread=2.0)
    points = vectors.astype(np.float32)
    found = cluster(vectors, 6, keys(len(truth)))
    means = np.array([points[found == cluster].mean(axis=0) for cluster in range(6)])
    assert (nearest(points, means) != found).mean() < 0.02


def test_clusters_depend_on_keys_alone() -> None:
    vectors, truth = clouds(80, 80, spread=3.0)
    one, again, other = (cluster(vectors, 12, keys(len(truth), seed)) for seed in (1, 1, 2))
    assert one.tolist() == again.tolist() != other.tolist()


def test_every_vector_goes_to_its_nearest_centre() -> None:
    draws = np.random.default_rng(3)
    vectors, centres = draws.normal(size=(500, 8)).astype(np.float32), draws.normal(size=(9, 8)).astype(np.float32)
    distances = ((vectors[:, None].astype(float) - centres) ** 2).sum(axis=2)
    assert nearest(vectors, centres).tolist() == distances.argmin(axis=1).tolist()


def test_lloyd_makes_clusters_no_wider() -> None:
    vectors, truth = clouds(200, 200, spread=2.0)
    points = vectors.astype(np.float32)
    found = cluster(vectors, 8, keys(len(truth)))
    within = sum(((points[found == c] - points[found == c].mean(axis=0)) ** 2).sum() for c in set(found.tolist()))
    at_random = np.random.default_rng(0).integers(0, 8, len(points))
    loose = sum(((points[at_random == c] - points[at_random == c].mean(axis=0)) ** 2).sum() for c in range(8))
    assert within < 0.8 * loose


@pytest.mark.parametrize("count", [1, 2, 5])
def test_equal_vectors_and_as_many_clusters_as_vectors(count: int) -> None:
    vectors = np.ones((count, 4), np.float16)
    assert set(cluster(vectors, count, keys(count)).tolist()) <= set(range(count))


# --- the draw over clusters ------------------------------------------------------------------------------------------

CLUSTERS = st.lists(st.integers(0, 5), min_size=1, max_size=60)


@given(CLUSTERS, st.integers(0, 70))
def test_clusters_give_as_evenly_as_they_can(clusters: list[int], count: int) -> None:
    drawn = spread_over(np.array(clusters, np.int32), keys(len(clusters)), count)
    assert drawn.sum() == min(count, len(clusters))
    sizes = Counter(clusters)
    given = Counter(np.array(clusters)[drawn].tolist())
    most = max(given.values(), default=0)
    assert all(given[c] >= min(size, most - 1) for c, size in sizes.items())


@given(CLUSTERS, st.integers(0, 60), st.integers(0, 60))
def test_fewer_are_a_part_of_more(clusters: list[int], one: int, two: int) -> None:
    few, more = (spread_over(np.array(clusters), keys(len(clusters)), count) for count in sorted((one, two)))
    assert not (few & ~more).any()


def test_within_a_cluster_and_among_clusters_the_least_keys_come_first() -> None:
    key, one = keys(30), np.zeros(30, np.int32)
    assert spread_over(one, key, 7).nonzero()[0].tolist() == sorted(np.argsort(key)[:7].tolist())
    ten = np.arange(30) % 10
    firsts = [min(range(cluster, 30, 10), key=lambda place: key[place]) for cluster in range(10)]
    expected = sorted(sorted(firsts, key=lambda place: key[place])[:4])
    assert spread_over(ten, key, 4).nonzero()[0].tolist() == expected


# --- embeddings ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An encoder and a causal model, tiny and untrained, whose tokenizers know each letter."""
    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForMaskedLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = Tokenizer(
        models.WordLevel({token: n for n, token in enumerate(["<e>", *map(chr, range(32, 127))])}, unk_token="<e>")
    )
    letters.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters, eos_token="<e>", unk_token="<e>")
    sizes = {
        "vocab_size": 96,
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    torch.manual_seed(0)
    networks: dict[str, Any] = {
        "encoder": BertForMaskedLM(BertConfig(max_position_embeddings=64, **sizes)),
        "causal": LlamaForCausalLM(LlamaConfig(max_position_embeddings=64, **sizes)),
    }
    folders = {}
    for name, network in networks.items():
        folders[name] = str(tmp_path_factory.mktemp(name))
        network.save_pretrained(folders[name])
        tokenizer.save_pretrained(folders[name])
    return folders


@pytest.mark.parametrize("kind", ["encoder", "causal"])
def test_embeddings_are_means_over_the_tokens_of_one_text_alone(kind: str, models: dict[str, str]) -> None:
    import torch

    embedder = Embedder(models[kind], "cpu")
    texts = ["abc", "", "a longer text, " * 20, "abc", "xyz"]
    found = embedder.embed(texts)
    assert found.shape == (5, 32)
    assert embedder.longest == 62, "some encoders count positions from 2"
    assert np.allclose(np.linalg.norm(found, axis=1), [1, 0, 1, 1, 1], atol=1e-5)
    for text, vector in zip(texts, found, strict=True):
        if text:
            ids = embedder.tokenizer(text)["input_ids"][: embedder.longest]
            with torch.inference_mode():
                hidden = embedder.network(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(dim=0).numpy()
            assert np.allclose(vector, hidden / np.linalg.norm(hidden), atol=1e-5), "padding must not count"


def test_a_folder_without_a_model_cannot_embed(tmp_path: Path, models: dict[str, str]) -> None:
    with pytest.raises(LatxaError, match=r"no `config\.json`"):
        Embedder(str(tmp_path))
    with pytest.raises(UsageError, match="there is no device"):
        Embedder(models["encoder"], "cuda:77")


def test_the_instruction_is_what_the_user_asks_first() -> None:
    record = conversation("1", "Hi", "Hello", "Bye", "Bye")
    assert instruction({"messages": [{"role": "system", "content": "Be kind."}, *record["messages"]]}) == "Hi"
    assert instruction(document("1")) == "text of 1"
    assert instruction({"messages": [{"role": "assistant", "content": "Hello"}]}) == "Hello"


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_mix_is_drawn_over_the_clusters_of_each_input(
    in_memory: bool, models: dict[str, str], tmp_path: Path
) -> None:
    """Of 60 instructions in `en`, all but six begin in one way; a varied choice of 12 has all six of the others."""
    english = [conversation(f"{n}", "Aaaa aaaa aaaa" + " a" * (n % 3), f"answer {n}") for n in range(54)]
    english += [conversation(f"rare {n}", 5 * (chr(ord("k") + n) + "~^#%&*"[n]), "yes") for n in range(6)]
    welsh = [conversation(str(n), f"cwestiwn {n}", "ateb") for n in range(9)]
    input_flags = InputFlags(diversify=["en=12", "cy=20"], hold_out=["en=3"], weight=["en=2"])
    options = {"input_flags": input_flags, "in_memory": in_memory, "part_bytes": 2000, "set_aside": False}
    made = mix(tmp_path, {"en": english, "cy": welsh}, embedder=models["encoder"], clusters=9, **options)
    chosen = {given for source, given in made.keys if source == "en"}
    held = {record["id"] for record in made.held}
    assert len(chosen) == 12 and not chosen & held
    assert {f"rare {n}" for n in range(6)} - held <= chosen
    assert Counter(source for source, _ in made.keys) == {"en": 24, "cy": 9}


def test_an_interrupted_choice_is_not_made_again(tmp_path: Path) -> None:
    from latxa_cli.stages import save_array

    folder = tmp_path / "embeddings"
    save_array(folder / "left-out-3.npy", np.array([7], np.uint64))
    chooser = Diversifier("no such model", folder)
    assert chooser(None, None, 3, 5).tolist() == [7]  # type: ignore[arg-type]


class Parts:
    """Rows of one input in two parts, as a store has them."""

    inputs = (0, 1, 0)
    plan = SimpleNamespace(names=["en", "cy"])

    def rows(self, part: int) -> np.ndarray:
        rows = np.zeros(30, ROW)
        rows["identity"] = keys(30, seed=part)
        return rows


@pytest.mark.parametrize(("clusters", "expected"), [(None, 8), (5, 5), (100, 60)])
def test_by_default_there_are_as_many_clusters_as_the_root_of_the_records(
    clusters: int | None, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, _ = clouds(*[12] * 5)
    monkeypatch.setattr(Diversifier, "_vectors", lambda *_: vectors)
    said: list[str] = []
    chooser = Diversifier("no such model", tmp_path / "embeddings", clusters, say=said.append)
    left_out = chooser(Parts(), Decision(), 0, 25)  # type: ignore[arg-type]
    assert said == [f"en: 60 instructions, {expected} clusters"]
    assert len(left_out) == 35 and (np.diff(left_out.astype(object)) > 0).all()
    assert set((left_out >> np.uint64(32)).tolist()) == {0, 2}


def test_where_all_are_wanted_nothing_is_embedded(tmp_path: Path) -> None:
    chooser = Diversifier("no such model", tmp_path / "embeddings")
    assert chooser(Parts(), Decision(), 0, 60).tolist() == []  # type: ignore[arg-type]
