"""The head in closed form: against scikit-learn on naively standardised features."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from toys import WINDOW, tiny, tiny_examples

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.genome.bed import regions_table
from cistransfer.metrics.curves import auroc
from cistransfer.models.model import Model, MotifFeatures
from cistransfer.models.score import score_codes
from cistransfer.motifs.pwm import PWM
from cistransfer.motifs.scan import sum_occupancy
from cistransfer.training import motifs as motif_room
from cistransfer.training import probe as room
from cistransfer.training.loop import fit
from cistransfer.training.motifs import choose_motifs, folds_of
from cistransfer.training.probe import fit_probe
from cistransfer.training.strategy import Probe, load_strategy


def probe(**changes: object) -> Probe:
    return Probe.model_validate({"kind": "probe", "name": "probe", **changes})


def random_pwm(width: int, seed: int = 0) -> PWM:
    rng = np.random.default_rng(seed)
    return PWM(f"m{seed}", rng.dirichlet(np.full(4, 0.4), width))


def beside(pwms: Sequence[PWM], n_tasks: int = 2) -> Model:
    motifs = MotifFeatures([pwm.width for pwm in pwms])
    motifs.fill(pwms)
    return Model(tiny(3, n_tasks).network, motifs)


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def naive_features(model: nn.Module, codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Input of the head, one sequence and strand at a time."""
    model.eval()
    rows = []
    for code in codes:
        strands = []
        for sequence in (code, 3 - code[::-1]):
            x = torch.tensor([[float(base == letter) for base in sequence] for letter in range(4)])
            with torch.no_grad():
                strands.append(model.features(x[None])[0].double().numpy())
        rows.append((strands[0] + strands[1]) / 2)
    return np.array(rows)


def expected_logits(
    model: nn.Module, data: ExampleSet, column: int, strength: float, pwms: Sequence[PWM], by: float
) -> NDArray[np.float64]:
    """scikit-learn on z-scores of the training part, motifs' multiplied by ``by``."""
    features = naive_features(model, data.codes)
    train = [row for row in data.rows("train") if data.labels[row, column] >= 0]
    z = np.zeros_like(features)
    for at in range(features.shape[1]):
        values = features[train, at]
        if values.std() > 1e-6:
            z[:, at] = (features[:, at] - values.mean()) / values.std()
        if at >= features.shape[1] - len(pwms):
            z[:, at] *= by
    fitted = LogisticRegression(C=strength, max_iter=5000).fit(z[train], data.labels[train, column])
    return fitted.decision_function(z)


@pytest.mark.parametrize("strength", [1e-3, 1e-2, 1.0])
@pytest.mark.parametrize("scale", [1.0, 10.0])
@pytest.mark.parametrize("widths", [(), (4, 6)])
def test_it_equals_scikit_learn(strength: float, scale: float, widths: tuple[int, ...]) -> None:
    data = tiny_examples()
    pwms = [random_pwm(width, width) for width in widths]
    model = beside(pwms) if pwms else tiny(3)
    chosen = fit_probe(model, data, probe(strengths=[strength], motif_scales=[scale]), seed=0)
    by = scale if pwms else 1.0
    for one in chosen:
        assert (one["strength"], one["motif_scale"]) == (strength, by)
    found = score_codes(model, data.codes)
    for column in range(2):
        expected = expected_logits(model, data, column, strength, pwms, by)
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(found[:, column], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("n_given", [0, 1])
def test_each_row_learns_from_the_motifs_that_have_not_seen_it(n_given: int) -> None:
    """The bags' columns, naively: by row, the occupancy of the motif of the row's fold."""
    data = tiny_examples(n=80, n_tasks=1)
    pwms = [random_pwm(3 + at % 4, at) for at in range(n_given + 6)]
    motifs = MotifFeatures([pwm.width for pwm in pwms], 2, 3)
    motifs.fill(pwms)
    model = Model(tiny(3, 1).network, motifs)
    fit_probe(model, data, probe(strengths=[1.0], motif_scales=[10.0]), seed=6)
    train = data.rows("train")
    features = naive_features(model, data.codes)
    assert features.shape[1] == 10 + n_given + 2
    learned = features[train]
    fold = folds_of(data.labels[train, 0], 3, 6)
    for at, row in enumerate(train):
        for bag in (0, 1):
            mine = pwms[n_given + 3 * bag + fold[at]]
            occupancy = sum_occupancy(data.codes[row : row + 1], mine)[0]
            learned[at, 10 + n_given + bag] = np.log(occupancy)
    assert np.abs(learned[:, -2:] - features[train, -2:]).max(axis=0).min() > 0.1
    known = data.labels[train, 0] >= 0
    learned, truth = learned[known], data.labels[train, 0][known]
    centre, spread = learned.mean(axis=0), learned.std(axis=0)
    scale = np.where(spread > 1e-6, spread, np.inf)
    scale[10:] /= 10
    fitted = LogisticRegression(C=1.0, max_iter=5000).fit((learned - centre) / scale, truth)
    expected = fitted.decision_function((features - centre) / scale)
    np.testing.assert_allclose(score_codes(model, data.codes)[:, 0], expected, atol=1e-4)


def test_the_motif_scale_frees_the_motifs() -> None:
    """The label is the motif's; the freer it is, the more of the logit comes from it."""
    pwm = random_pwm(5, 1)
    data = tiny_examples(n_tasks=1)
    occupancy = np.log(sum_occupancy(data.codes, pwm))
    labels = (occupancy > np.median(occupancy)).astype(np.int8)[:, None]
    data = dataclasses.replace(data, labels=labels)
    found = []
    for scale in (1.0, 3.0, 30.0):
        model = beside([pwm], 1)
        fit_probe(model, data, probe(strengths=[1e-3], motif_scales=[scale]), seed=0)
        found.append(abs(np.corrcoef(score_codes(model, data.codes)[:, 0], occupancy)[0, 1]))
    assert found[0] < found[1] < found[2]
    assert found[2] > 0.99


@pytest.mark.parametrize("with_motifs", [False, True])
def test_only_the_head_changes(with_motifs: bool) -> None:
    data = tiny_examples()
    codes, labels = data.codes.copy(), data.labels.copy()
    model = beside([random_pwm(5)]) if with_motifs else tiny(3)
    model.train()
    before = snapshot(model)
    state = torch.random.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    fit_probe(model, data, probe(repeats=1), seed=0)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) != name.startswith("head"), name
    assert all(module.training for module in model.modules())
    assert torch.equal(torch.random.get_rng_state(), state[0])
    assert str(np.random.get_state()) == state[1]  # noqa: NPY002
    assert np.array_equal(data.codes, codes)
    assert np.array_equal(data.labels, labels)


def test_no_row_outside_the_training_part_counts() -> None:
    data = tiny_examples()
    unknown = data.rows("train")[:3]
    data.labels[unknown] = -1
    other = dataclasses.replace(data, codes=data.codes.copy(), labels=data.labels.copy())
    held = data.rows("valid")
    other.codes[held] = 0
    other.labels[held] = 1 - np.abs(data.labels[held])
    other.codes[unknown] = 2  # nor does an unresolved training row
    heads = []
    for each in (data, other):
        model = tiny(3)
        fit_probe(model, each, probe(repeats=1), seed=0)
        heads.append(model.head.state_dict())
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])


def test_motifs_are_the_same_found_by_one_thread_and_by_three(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, found = tiny_examples(n=80, n_tasks=1), []
    for workers in (1, 3):
        monkeypatch.setattr("cistransfer.cpus.n_workers", lambda n=workers: n)
        motifs, bags = choose_motifs(data, load_strategy("finetune"), [], seed=1)
        found.append([(pwm.name, pwm.probabilities.tobytes()) for pwm in motifs])
        assert bags["bags"] == 1
    assert found[0] == found[1]


def test_it_is_deterministic() -> None:
    heads = []
    for _ in range(2):
        model = beside([random_pwm(5)])
        chosen = fit_probe(model, tiny_examples(), probe(repeats=1), seed=4)
        heads.append((chosen, model.head.weight.tolist(), model.head.bias.tolist()))
    assert heads[0] == heads[1]


def _easy(n: int = 40) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Features each of which separates the classes under any penalty."""
    truth = (np.arange(n) % 2).astype(np.int8)
    return truth[:, None] * np.array([10.0, 1.0, -3.0]), truth


def choose(
    features: NDArray[np.float64], truth: NDArray[np.int8], n_motifs: int, setting: Probe, seed: int
) -> dict[str, float]:
    """The choice on a training part without more unbound rows beside it."""
    return room._choose(room._Data(features, truth, len(truth), n_motifs), setting, seed)[0]


def test_the_middle_among_equals() -> None:
    features, truth = _easy()
    setting = probe(strengths=[1.0, 1e-4, 1e-2], motif_scales=[30.0, 3.0, 10.0])
    assert choose(features, truth, 1, setting, 0) == {"strength": 1e-2, "motif_scale": 10.0}
    assert choose(features, truth, 0, setting, 0) == {"strength": 1e-2, "motif_scale": 1.0}
    reckless = setting.model_copy(update={"caution": 0.0})
    chosen = choose(features, truth, 1, reckless, 0)
    assert chosen == {"strength": 1e-4, "motif_scale": 3.0}  # the strongest penalty


@pytest.mark.parametrize(
    ("gain", "expected"), [(0.0, 1e-2), (0.09, 1e-2), (0.11, 1.0), (0.21, 1.0)]
)
def test_a_step_from_the_middle_has_to_pay(
    gain: float, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 examples: caution / √40 = 0.1 a step."""
    features, truth = _easy()
    current: list[float] = []

    def fake_fit(
        data: room._Data, strength: float, scale: float
    ) -> tuple[NDArray[np.float64], float]:
        current[:] = [strength]
        return np.zeros(data.features.shape[1]), 0.0

    def fake_auroc(*_: Any) -> float:
        return {1e-4: 0.5, 1e-2: 0.6, 1.0: 0.6 + gain}[current[0]]

    monkeypatch.setattr(room, "_fit", fake_fit)
    monkeypatch.setattr(room, "auroc", fake_auroc)
    setting = probe(strengths=[1.0, 1e-2, 1e-4], caution=0.1 * 40**0.5)
    assert choose(features, truth, 0, setting, 0)["strength"] == expected


@pytest.mark.parametrize("caution", [0.0, 0.05, 1.0])
def test_the_choice_ranks_held_out_rows_best(caution: float) -> None:
    """A naive cross-validation over the same folds finds the same merits."""
    from sklearn.model_selection import RepeatedStratifiedKFold

    rng = np.random.default_rng(5)
    truth = (np.arange(60) % 2).astype(np.int8)
    features = rng.normal(size=(60, 30))
    features[:, :3] += truth[:, None] * 1.5
    features[:, 29] += truth * 0.8
    setting = probe(
        strengths=[1e-4, 1e-2, 100.0], motif_scales=[1.0, 30.0], folds=3, repeats=2,
        caution=caution,
    )  # fmt: skip
    chosen = choose(features, truth, 1, setting, 7)
    order = np.random.default_rng(7).permutation(60)
    features, truth = features[order], truth[order]
    merits = {}
    for strength in setting.strengths:
        for scale in setting.motif_scales:
            found = []
            folds = RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=7)
            for inside, outside in folds.split(features, truth):
                mean, spread = features[inside].mean(0), features[inside].std(0)
                z = (features - mean) / spread
                z[:, 29] *= scale
                net = LogisticRegression(C=strength, max_iter=5000).fit(z[inside], truth[inside])
                found.append(auroc(truth[outside], net.decision_function(z[outside])))
            steps = (strength != 1e-2) + (scale != 30.0)
            merits[strength, scale] = np.mean(found) - steps * caution / 60**0.5
    assert len({round(merit, 3) for merit in merits.values()}) > 2
    best = max(merits.values())
    expected = min(key for key, merit in merits.items() if merit >= best - 1e-6)
    assert (chosen["strength"], chosen["motif_scale"]) == expected


@pytest.mark.parametrize("label", [0, 1])
def test_both_classes_are_needed_twice(label: int) -> None:
    data = tiny_examples(n_tasks=1)
    train = data.rows("train")
    for most, refused in ((0, True), (1, True), (2, False)):
        labels = data.labels.copy()
        labels[train[labels[train, 0] == label][most:], 0] = -1
        few = dataclasses.replace(data, labels=labels)
        if refused:
            with pytest.raises(InputError) as caught:
                fit_probe(tiny(n_tasks=1), few, probe(), seed=0)
            assert str(caught.value) == (
                f"A: a probe needs two training examples of each class, found {most}"
            )
        else:
            fit_probe(tiny(n_tasks=1), few, probe(), seed=0)


@pytest.mark.parametrize("most", [1, 2, 5, 30, 40, 1000])
def test_a_sample_for_cross_validation_keeps_two_of_each_class(most: int) -> None:
    for seed in range(20):
        truth = np.zeros(40, dtype=np.int8)
        truth[[3, 17]] = 1
        rows = room._sample(truth, most, seed)
        assert len(set(rows)) == len(rows)
        assert set(np.flatnonzero(truth)) <= set(rows)
        assert (truth[rows] == 0).sum() >= 2
        assert min(most, 40) <= len(rows) <= max(4, min(most + 2, 40))
        order = np.random.default_rng(seed).permutation(40)
        assert rows[: min(most, 40)].tolist() == order[:most].tolist()


@pytest.mark.parametrize(
    ("most", "repeats"), [(40, 1), (79, 1), (80, 2), (119, 2), (120, 3), (1000, 3)]
)
def test_fewer_repeats_of_many_rows(
    most: int, repeats: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 rows, and 3 repeats at most."""
    features, truth = _easy()
    tried: list[int] = []

    def fake_auroc(truth: NDArray[Any], *_: Any) -> float:
        tried.append(len(truth))
        return 0.7

    monkeypatch.setattr(room, "auroc", fake_auroc)
    choose(features, truth, 0, probe(strengths=[0.1], most_rows=most, repeats=3), 0)
    assert tried == [8] * 5 * repeats


def test_few_rows_for_the_choice_all_for_the_fit() -> None:
    data = tiny_examples()
    model = tiny(3)
    fit_probe(model, data, probe(strengths=[1e-2], most_rows=4), seed=0)
    expected = expected_logits(model, data, 0, 1e-2, [], 1.0)
    np.testing.assert_allclose(score_codes(model, data.codes)[:, 0], expected, atol=1e-5)


def test_a_feature_that_never_varies_has_no_weight() -> None:
    """Nor does it blow up when it varies elsewhere."""
    model = tiny(3)
    with torch.no_grad():
        model.dense1.norm.weight[4] = 0.0
    fit_probe(model, tiny_examples(), probe(), seed=0)
    assert (model.head.weight[:, 4] == 0).all()
    assert model.head.weight.isfinite().all()
    assert (model.head.weight[:, :4] != 0).any()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_penalty_that_is_too_weak_is_refused(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.exceptions import ConvergenceWarning

    def never(*_: Any, **__: Any) -> None:
        warnings.warn("limit", ConvergenceWarning, stacklevel=1)

    monkeypatch.setattr(LogisticRegression, "fit", never)
    monkeypatch.setattr("cistransfer.cpus.n_workers", lambda: workers)
    before = list(warnings.filters)
    with pytest.raises(InputError, match="does not converge with strength 100 and motif scale 1"):
        fit_probe(tiny(), tiny_examples(), probe(strengths=[100.0]), seed=0)
    assert warnings.filters == before


@pytest.mark.parametrize("entry", ["strengths", "motif_scales"])
@pytest.mark.parametrize("values", ["[]", "[0.0]", "[-1.0]", "[inf]", "[nan]"])
def test_wrong_settings_are_refused(entry: str, values: str, tmp_path: Any) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        'name = "own"\nsummary = ""\nstart = "trunk"\n[[phases]]\nkind = "probe"\n'
        f'name = "probe"\n{entry} = {values}\n'
    )
    with pytest.raises(InputError, match=entry) as caught:
        load_strategy(str(path))
    assert "\n" not in str(caught.value)


def test_one_row_of_history() -> None:
    data = tiny_examples()
    history = fit(tiny(3), data, [probe()], run="x", seed=0)
    assert len(history) == 1
    assert history[0]["train_loss"] is None
    assert history[0]["best"] is True
    assert (history[0]["phase"], history[0]["epoch"]) == ("probe", 1)
    assert 0 < history[0]["valid_loss"] < 2
    assert data.window == WINDOW


@pytest.mark.parametrize("workers", [2, 64])
def test_the_fit_does_not_depend_on_the_number_of_workers(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, heads = tiny_examples(n=80, n_tasks=1), []
    for n in (1, workers):
        monkeypatch.setattr("cistransfer.cpus.n_workers", lambda n=n: n)
        model = beside([random_pwm(4), random_pwm(5, 1)], 1)
        fit_probe(model, data, probe(), seed=6)
        heads.append(snapshot(model.head))
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])


def with_extra(data: ExampleSet, codes: NDArray[np.uint8]) -> ExampleSet:
    """The set with more windows beside the training part, all unbound for all tasks."""
    n = len(codes)
    start = 1_000_000 + np.arange(n) * 100
    more = regions_table(["chr1"] * n, start, start + WINDOW, part="extra")
    return ExampleSet(
        np.concatenate([data.codes, codes]),
        np.concatenate([data.labels, np.zeros((n, len(data.tasks)), dtype=np.int8)]),
        pd.concat([data.regions, more], ignore_index=True),
        data.tasks,
        {},
    )


def test_more_unbound_rows_weigh_what_the_training_parts_do() -> None:
    """scikit-learn with the weights named in words, on moments with these weights."""
    few = tiny_examples(n_tasks=1)
    codes = np.random.default_rng(8).integers(0, 4, (200, WINDOW), dtype=np.uint8)
    data = with_extra(few, codes)
    pwms = [random_pwm(5)]
    model = beside(pwms, 1)
    fit_probe(model, data, probe(strengths=[0.1], motif_scales=[10.0]), seed=0)
    features = naive_features(model, data.codes)
    train = [row for row in few.rows("train") if few.labels[row, 0] >= 0]
    rows = [*train, *data.rows("extra")]
    bound = few.labels[train, 0].sum()
    unbound = len(train) - bound
    weights = np.array([1.0 if data.labels[row, 0] else unbound / (unbound + 200) for row in rows])
    assert weights.sum() == pytest.approx(len(train))
    centre = (features[rows] * weights[:, None]).sum(0) / weights.sum()
    spread = np.sqrt(((features[rows] - centre) ** 2 * weights[:, None]).sum(0) / weights.sum())
    scale = np.where(spread > 1e-6, spread, np.inf)
    scale[-1] /= 10
    z = (features - centre) / scale
    fitted = LogisticRegression(C=0.1, max_iter=5000)
    fitted.fit(z[rows], data.labels[rows, 0], sample_weight=weights)
    expected = fitted.decision_function(z)
    np.testing.assert_allclose(score_codes(model, data.codes)[:, 0], expected, atol=1e-4)


def test_the_same_unbound_rows_again_change_nothing() -> None:
    """Nor the intercept: probabilities go on to be those of the training part's classes."""
    few = tiny_examples(n_tasks=1)
    train = few.rows("train")
    again = few.codes[train[few.labels[train, 0] == 0]]
    heads = []
    for data in (few, with_extra(few, np.tile(again, (3, 1)))):
        model = tiny(3, 1)
        fit_probe(model, data, probe(strengths=[1e-2]), seed=0)
        heads.append(score_codes(model, few.codes))
    np.testing.assert_allclose(heads[0], heads[1], atol=1e-4)


def test_what_trunk_and_motifs_say_is_cross_validated() -> None:
    """The label is a motif's: the motif ranks held-out rows, a random trunk hardly does."""
    pwm = random_pwm(5, 1)
    data = tiny_examples(n=150, n_tasks=1)
    occupancy = np.log(sum_occupancy(data.codes, pwm))
    labels = (occupancy > np.median(occupancy)).astype(np.int8)[:, None]
    data = dataclasses.replace(data, labels=labels)
    (found,) = fit_probe(beside([pwm], 1), data, probe(), seed=0)
    assert found["motifs"] > 0.99
    assert found["trunk"] < found["both"]
    train = labels[data.rows("train"), 0]
    bound, unbound = int(train.sum()), int((1 - train).sum())
    deviation = ((bound + unbound + 1) / (12 * bound * unbound)) ** 0.5
    assert found["chance"] == pytest.approx(0.5 + 2.5 * deviation)
    (alone,) = fit_probe(tiny(3, 1), data, probe(), seed=0)
    assert (alone["motifs"], alone["both"]) == (None, alone["trunk"])


def test_noise_is_called_chance() -> None:
    """Labels that nothing predicts: 40 times, and hardly ever called informative."""
    called = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        truth = (np.arange(60) % 2).astype(np.int8)
        data = room._Data(rng.normal(size=(60, 4)), truth, 60)
        evidence = room._choose(data, probe(strengths=[1e-2]), seed)[1]
        called.append(evidence["trunk"] > evidence["chance"])
    assert sum(called) <= 4
    line = room.evidence_line({"trunk": 0.6, "motifs": 0.9, "both": 0.91, "chance": 0.65})
    assert line == (
        "cross-validated AUROC: trunk 0.60, no better than chance; motifs 0.90; both 0.91"
    )
    assert room.evidence_line({"trunk": 0.7, "motifs": None, "both": 0.7, "chance": 0.65}) == (
        "cross-validated AUROC: trunk 0.70"
    )


@pytest.mark.parametrize(
    ("bound", "unbound", "extra", "looked"),
    [(5, 5, 40, 20), (5, 5, 10, 10), (5, 30, 10, 0), (5, 5, 0, 0), (150, 150, 900, 350)],
)
def test_unbound_rows_that_motifs_are_searched_against(
    bound: int, unbound: int, extra: int, looked: int
) -> None:
    """Five per bound one and 500 in all, the training part's own always."""
    labels = np.repeat(np.array([1, 0, 0], dtype=np.int8), [bound, unbound, extra])
    rows = motif_room._searched(labels, bound + unbound, 3)
    own = list(range(bound + unbound))
    assert rows.tolist()[: len(own)] == own
    assert len(rows) == len(own) + looked == len(set(rows))
    assert rows.max() < len(labels)


@pytest.mark.parametrize("n_motifs", [0, 2])
def test_few_examples_are_held_out_as_by_fits_on_all_features(n_motifs: int) -> None:
    rng = np.random.default_rng(0)
    truth = (np.arange(50) % 3 == 0).astype(np.int8)
    features = rng.normal(size=(50, 80)) + 0.3 * truth[:, None]
    features[:, 7] = 1.0  # never varies
    data, others = room._Data(features, truth, 30, n_motifs), rng.normal(size=(9, 80))
    options = [(1e-2, 1.0), (1e-1, 1.0), (1e-2, 10.0)]
    for option, found in zip(options, room._held_out(data, others, options), strict=True):
        wanted = others @ room._fit(data, *option)[0]
        np.testing.assert_allclose(np.diff(found), np.diff(wanted), atol=2e-3)
    if n_motifs:
        [alone] = room._held_out(data, others, [(1e-2, 0.0)])
        [without] = room._held_out(data.trunk(), others[:, :-n_motifs], [(1e-2, 1.0)])
        np.testing.assert_allclose(np.diff(alone), np.diff(without), atol=1e-8)


@pytest.mark.parametrize("strength", [1e-3, 1.0, 1e3, 1e6])
def test_regressions_among_examples_have_no_gradient_left(strength: float) -> None:
    """By the conditions of the optimum, with factorisations of either precision."""
    rng = np.random.default_rng(1)
    truth = (np.arange(40) % 4 == 0).astype(np.int8)
    features = rng.normal(size=(40, 15)) + 0.5 * truth[:, None]
    weights = strength * rng.uniform(0.2, 1.0, size=40)
    found = room._combination(features @ features.T, truth, weights)
    assert found is not None
    assert abs(found.sum()) < 1e-6 * np.abs(found).sum()  # the intercept is free
    scores = features @ (features.T @ found)
    near = np.argmin(np.abs(found / weights - 0.5 * np.sign(found)))  # tells the intercept
    chance = truth - found / weights
    constant = np.log(chance[near] / (1 - chance[near])) - scores[near]
    expected = weights * (truth - 1 / (1 + np.exp(-scores - constant)))
    np.testing.assert_allclose(found, expected, atol=1e-4 * weights.max())


def test_classes_that_a_weak_penalty_separates_do_not_converge() -> None:
    features = np.diag(np.arange(1.0, 9.0))
    truth = (np.arange(8) % 2).astype(np.int8)
    assert room._combination(features @ features.T, truth, np.full(8, 1e300)) is None
