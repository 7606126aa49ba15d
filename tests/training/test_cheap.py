"""A baseline as a model: it ranks as the baseline does, and is a bundle like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cistransfer.baselines.kmer import kmer_counts
from cistransfer.baselines.registry import fit_baseline, score_baseline
from cistransfer.errors import InputError
from cistransfer.evaluation.runs import evaluate_runs
from cistransfer.interpretation.attribute import attribute
from cistransfer.interpretation.locus import explain_locus
from cistransfer.models.bundle import check_bundle
from cistransfer.models.registry import build_model
from cistransfer.models.score import score_codes, score_features
from cistransfer.motifs.pwm import PWM
from cistransfer.training.cheap import cheap_run

PWMS = (
    PWM(
        "M1", np.array([[0.1, 0.1, 0.7, 0.1]] * 2 + [[0.8, 0.1, 0.05, 0.05]] * 2), alt_name="GABPA"
    ),
    PWM("M2", np.array([[0.1, 0.1, 0.1, 0.7], [0.7, 0.1, 0.1, 0.1]] * 2), alt_name="GABPA"),
)


@pytest.mark.parametrize("name", ["motif", "denovo", "kmer", "gc"])
def test_it_ranks_as_the_baseline(name: str, world, target_examples, tmp_path: Path) -> None:
    data = target_examples
    bundle = cheap_run(tmp_path / "run", data, name, pwms=PWMS, facts={"held_out": {"aucpr": 0.5}})
    rows = data.rows("train")
    codes, labels = np.asarray(data.codes[rows]), np.asarray(data.labels[rows, 0])
    fitted = fit_baseline(name, codes, labels, pwms=PWMS)
    wanted = score_baseline(fitted, np.asarray(data.codes))
    found = score_codes(bundle.model, data.codes)[:, 0]
    assert np.corrcoef(found, wanted)[0, 1] == pytest.approx(1, abs=1e-6)
    assert bundle.card.strategy.name == name
    assert bundle.card.to_json()["held_out"] == {"aucpr": 0.5}
    valid = data.rows("valid")
    truth = np.asarray(data.labels[valid, 0])
    given = bundle.predict(np.asarray(data.codes[valid]))[:, 0]
    assert abs(given.mean() - (truth == 1).mean()) < 0.1  # calibrated there, not only in slope
    assert check_bundle(bundle.path)["largest_difference"] < 1e-5
    assert set(bundle.regions()["part"]) == {"train", "valid"}
    again = cheap_run(tmp_path / "run", data, name, pwms=PWMS)
    assert again.card.to_json()["held_out"] == {"aucpr": 0.5}  # opened, not made anew
    evaluated = evaluate_runs(
        tmp_path / "e", [f"mine={bundle.path.parent}"], baselines=[name], pwms=PWMS, draws=0
    )
    both = [evaluated[row].tasks[data.tasks[0]]["auroc"] for row in ("mine", name)]
    assert both[0] == pytest.approx(both[1], abs=5e-3)  # ties
    locus = explain_locus(bundle, world.genome, "chr1", 1000, 1100)
    assert np.isfinite(locus.contributions).all()
    if name == "kmer":
        mutants = (locus.effects * -1).sum(axis=0) / 3
        assert np.allclose(locus.contributions, mutants, atol=1e-6)
        with pytest.raises(InputError, match="attribute it by mutagenesis"):
            attribute(bundle.model, np.asarray(data.codes[:2]))


def test_words_are_counted_as_the_baseline_counts_them() -> None:
    codes = np.random.default_rng(3).integers(0, 4, (6, 60)).astype(np.uint8)
    codes[1, 10:13] = 4
    codes[2] = 4
    codes[3, ::2] = 0  # repeats
    model = build_model("words", window=60, n_tasks=1, seed=0)
    found = score_features(model, codes)
    assert np.allclose(found, kmer_counts(codes).toarray(), atol=1e-6)


def test_what_cannot_be_a_model_is_refused(target_examples, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'prevalence' cannot be written as a model"):
        cheap_run(tmp_path / "p", target_examples, "prevalence")
    two = replace(
        target_examples, tasks=("A", "B"), labels=np.repeat(target_examples.labels, 2, axis=1)
    )
    with pytest.raises(InputError, match="of one task, found 2"):
        cheap_run(tmp_path / "two", two, "gc")
    assert not (tmp_path / "two").exists()
