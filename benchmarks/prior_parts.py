"""The default's prior, part by part: what each adds to a head that thinks alike of all features.

    OMP_NUM_THREADS=1 python benchmarks/prior_parts.py --matrix M.h5 --genome SEQUENCES \
        --trunk RUN --motifs JASPAR.meme [--tfs SPI1,REST] [--sizes 50] [--draws 1] \
        [--develop chr22]

For each TF, size and draw the default is fine-tuned once from the trunk, which must know nothing of
the TF; then its head is fitted again on the same features and motifs by each part of the prior
(`cistransfer.training.prior`), penalties chosen anew. Without and with the TF's own motifs. What
the trunk tests on is left out of everything: its validation chromosomes test, ``--develop``
validates (as ``--axis develop=chr22`` of the study ``few-peaks``). AUCPR at one unbound region per
bound one (at ten), mean over draws and TFs; and the share of TFs and draws in which a row is better
than the first one.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import cistransfer as ct
from cistransfer.examples.dataset import ExampleSet
from cistransfer.metrics.curves import at_imbalance, aucpr
from cistransfer.models.model import Model
from cistransfer.models.score import score_features
from cistransfer.motifs.names import given_motifs
from cistransfer.studies.steps import Work
from cistransfer.studies.trainings import examples
from cistransfer.tables import markdown
from cistransfer.training.finetune import finetune
from cistransfer.training.prior import HeadPrior
from cistransfer.training.probe import fit_probe
from cistransfer.training.strategy import Probe, load_strategy

TEN = 10


def parts_of(heads: NDArray[np.float64]) -> dict[str, HeadPrior | None]:
    """What is thought of a head, by what is printed of it; the last but one is the default."""
    few = np.random.default_rng(0).permutation(len(heads))[:TEN]
    return {
        "all features alike": None,
        "what ranks the examples is freer": HeadPrior(np.zeros_like(heads)),
        "the trunk's outputs beside": HeadPrior(heads, uses=False, evidence=False),
        "both": HeadPrior(heads, uses=False),
        "and what the trunk's heads use is freer": HeadPrior(heads),
        f"the same, a trunk of {TEN} of the TFs": HeadPrior(heads[few]),
    }


def main() -> None:
    """Fit all, print a table for each size as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("matrix", "genome", "trunk", "motifs"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--tfs", default="SPI1,REST")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50])
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--develop", default="chr22")
    options = parser.parse_args()
    trunk = ct.open_bundle(options.trunk)
    parts = parts_of(trunk.model.head.weight.detach().double().numpy())
    phase = next(p for p in load_strategy("finetune").phases if isinstance(p, Probe))
    pwms = ct.read_motifs(options.motifs)
    for size in options.sizes:
        found: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for tf in options.tfs.split(","):
            for draw in range(options.draws):
                with tempfile.TemporaryDirectory() as folder:
                    place = Path(folder)
                    examples(
                        Work(place),
                        source=options.matrix,
                        genome=options.genome,
                        tf=tf,
                        trunk=options.trunk,
                        unknown=True,
                        positives=size,
                        develop=options.develop,
                        seed=draw,
                    )
                    data = ct.open_examples(place)
                    for motifs in ("without", "with"):
                        given = given_motifs(tf, pwms).pwms if motifs == "with" else ()
                        model = finetune(
                            place / motifs, data, trunk, motifs=given, guard="off", seed=draw
                        ).model
                        for name, pair in _measured(model, data, phase, parts, draw).items():
                            found[motifs][name].append(pair)
                print(f"{size} {tf} {draw}", flush=True)
        print(markdown(_table(found, size)), flush=True)


def _measured(
    model: Model,
    data: ExampleSet,
    phase: Probe,
    parts: dict[str, HeadPrior | None],
    seed: int,
) -> dict[str, tuple[float, float]]:
    """AUCPR of the test part, and at ten unbound per bound, by each part of the prior."""
    kept: dict[str, NDArray[np.float32]] = {}

    def once(model: Model, codes: NDArray[np.uint8], **how: Any) -> NDArray[np.float32]:
        """The features are the same for each part of the prior."""
        if str(how) not in kept:
            kept[str(how)] = score_features(model, codes, **how)
        return kept[str(how)].copy()

    test = data.rows("test")
    tested, truth = score_features(model, data.codes[test]), np.asarray(data.labels[test, 0])
    found = {}
    for name, prior in parts.items():
        with patch("cistransfer.training.probe.score_features", once):
            fit_probe(model, data, phase, seed=seed, prior=prior)
        logits = tested @ model.head.weight.detach().numpy()[0]
        found[name] = (aucpr(truth, logits), at_imbalance(truth, logits, 10))
    return found


def _table(found: dict[str, dict[str, list[tuple[float, float]]]], size: int) -> pd.DataFrame:
    rows: dict[str, dict[str, Any]] = defaultdict(dict)
    for motifs, by_name in found.items():
        pairs = {name: np.array(values) for name, values in by_name.items()}
        first = next(iter(pairs.values()))
        for name, values in pairs.items():
            one, ten = values.mean(axis=0)
            rows[name][f"{size}, {motifs}"] = f"{one:.3f} ({ten:.3f})"
            rows[name][f"better, {motifs}"] = f"{(values[:, 0] > first[:, 0]).mean():.0%}"
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("head").reset_index()


if __name__ == "__main__":
    main()
