"""What the trunk's own heads say of another head."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import rankdata

from cistransfer.errors import InputError
from cistransfer.metrics.curves import auroc
from cistransfer.training import probe as probes
from cistransfer.training.prior import HeadPrior, rank_scores
from cistransfer.training.strategy import Probe, load_strategy


def world(
    n: int, seed: int, k: int = 60, bound: float = 0.3
) -> tuple[NDArray[np.float64], NDArray[np.int8], NDArray[np.float64]]:
    """Features, classes, and heads of five TFs; the new TF binds nearly where the second does."""
    rng = np.random.default_rng(seed)
    heads = np.random.default_rng(99).normal(size=(5, k)) * (np.arange(k) < 20)
    features = rng.normal(size=(n, k)) * np.linspace(0.1, 10, k) + 3
    heads /= np.linspace(0.1, 10, k)
    logits = (features - 3) @ heads[1] + rng.normal(size=n)
    return features, (logits > np.quantile(logits, 1 - bound)).astype(np.int8), heads


def test_rank_scores_are_those_of_ranks_with_ties() -> None:
    rng = np.random.default_rng(0)
    features = np.column_stack(
        [rng.normal(size=90), rng.integers(0, 3, 90), np.ones(90), rng.normal(size=90).clip(0)]
    )
    truth = (np.arange(90) % 3 == 0).astype(np.int8)
    n_bound, n_unbound = 30, 60
    usual, spread = n_bound * 91 / 2, (n_bound * n_unbound * 91 / 12) ** 0.5
    sums = rankdata(features, axis=0)[truth == 1].sum(axis=0)
    np.testing.assert_allclose(rank_scores(features, truth), (sums - usual) / spread)
    assert rank_scores(features, truth)[2] == 0
    classes = rng.permutation(np.repeat([1, 0], [3_000, 4_000])).astype(np.int8)
    shifted = (rng.normal(size=7_000) + 0.5 * classes)[:, None]
    assert rank_scores(shifted, classes)[0] == pytest.approx(10.7, abs=1.5), "of 1,000 and 1,000"


def test_what_is_learned_of_outputs_is_folded_into_the_weights_of_features() -> None:
    rng = np.random.default_rng(1)
    prior = HeadPrior(rng.normal(size=(3, 7)))
    features, weights = rng.normal(size=(11, 9)), rng.normal(size=12)  # two motifs stay last
    beside = prior.beside(features[:, :7], features[:, 7:])
    np.testing.assert_array_equal(beside[:, 10:], features[:, 7:])
    np.testing.assert_allclose(beside[:, 7:10], features[:, :7] @ prior.heads.T)
    assert prior.folded(weights).shape == (9,)
    np.testing.assert_allclose(features @ prior.folded(weights), beside @ weights)


def test_freedom_is_of_standardised_features_and_one_in_the_mean() -> None:
    features, truth, heads = world(200, 2)
    features = np.column_stack([features, np.ones(200)])  # one that never varies
    prior = HeadPrior(np.column_stack([heads, np.full(5, 100.0)]))
    motifs = np.random.default_rng(0).normal(size=(200, 2))

    def freedom(prior: HeadPrior, features: NDArray[np.float64]) -> NDArray[np.float64]:
        beside = prior.beside(features, motifs)
        spread = beside.std(axis=0)
        return prior.freedom(beside, truth, np.where(spread > 1e-9, spread, np.inf))

    found = freedom(prior, features)
    assert found.shape == (61 + 5 + 2,)
    assert np.square(found[:60]).mean() == pytest.approx(1)
    assert found[-2:].tolist() == [1, 1]
    assert found[:20].mean() > 1.2 * found[20:60].mean(), "what the trunk's heads use is freer"
    assert found[61:66].argmax() == 1, "so is the output that ranks the examples"
    units = np.geomspace(0.01, 100, 61)
    other = freedom(HeadPrior(prior.heads / units), features * units)
    np.testing.assert_allclose(other, found, rtol=1e-6)
    none = freedom(HeadPrior(np.zeros((5, 61))), features)
    assert np.square(none[:60]).mean() == pytest.approx(1)
    alike = freedom(HeadPrior(prior.heads, uses=False, evidence=False), features)
    np.testing.assert_allclose(alike, np.repeat([1, 2, 1], [61, 5, 2]))
    used = freedom(HeadPrior(prior.heads, evidence=False), features)
    assert used[:20].min() > used[20:60].max()
    assert len(set(used[61:66])) == 1, "outputs are ranked by evidence alone"


def test_a_head_near_those_of_the_trunk_is_learned_from_fewer_examples() -> None:
    phase = Probe(kind="probe", name="probe", repeats=1)
    gains = []
    for seed in range(6):
        features, truth, heads = world(40, seed)
        fresh, answers, _ = world(500, 100 + seed)
        scores = []
        for prior in (None, HeadPrior(heads)):
            shown = features if prior is None else prior.beside(features, features[:, :0])
            data = probes._Data(shown, truth, len(truth), 0, prior)
            with probes.one_thread():
                best, _ = probes._choose(data, phase, seed)
                weights, _ = probes._fit(data, **best)
            scores.append(auroc(answers, fresh @ (prior.folded(weights) if prior else weights)))
        gains.append(scores[1] - scores[0])
    assert np.mean(gains) > 0.05
    assert min(gains) > 0


def test_the_default_has_a_prior_and_a_probe_alone_has_none() -> None:
    assert load_strategy("finetune").phases[0].prior == "trunk"
    assert load_strategy("probe").phases[0].prior == "none"


@pytest.mark.parametrize("words", ['start = "scratch"', 'start = "trunk"\ntransfer = ["conv1"]'])
def test_a_prior_without_the_trunk_is_refused(tmp_path, words: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        f'name = "own"\nsummary = "s"\n{words}\n\n'
        '[[phases]]\nkind = "probe"\nname = "probe"\nprior = "trunk"\n'
    )
    with pytest.raises(InputError, match="needs start = 'trunk' and all of the trunk's modules"):
        load_strategy(str(path))
