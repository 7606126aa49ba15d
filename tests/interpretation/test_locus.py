"""A locus in full: values are those of the windows scored by themselves."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from cistransfer.errors import InputError
from cistransfer.genome.codes import decode, encode
from cistransfer.genome.fasta import Genome, write_fasta
from cistransfer.interpretation.locus import draw_locus, explain_locus, write_locus
from cistransfer.motifs.pwm import PWM

WINDOW = 60
SITE = "TGACTCA"


class Linear(nn.Module):
    """Logit = Σ of a fixed weight of each base: contributions and mutants are known exactly."""

    weights = torch.tensor([1.0, -2.0, 3.0, 0.5])

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4 * WINDOW, 1, bias=False)
        with torch.no_grad():
            self.head.weight[:] = self.weights.repeat_interleave(WINDOW)[None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.flatten(1))


@pytest.fixture(scope="module")
def bundle() -> SimpleNamespace:
    return SimpleNamespace(
        tasks=("T",), window=WINDOW, model=Linear(), path=Path("b"), column=lambda task: 0,
        probabilities=lambda logits, share=None: (
            (0.5 if share is None else share) / (1 + np.exp(-np.asarray(logits, dtype=float)))
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    text = decode(np.random.default_rng(0).integers(0, 4, 900, dtype=np.uint8))
    path = tmp_path_factory.mktemp("g") / "g.fa"
    write_fasta(path, {"chr1": text[:400] + SITE + text[400:], "chr2": "ACGT" * 10})
    return Genome(path)


@pytest.mark.parametrize(("start", "end"), [(380, 420), (0, 30), (300, 500), (877, 907)])
def test_effects_are_the_differences_of_weights(
    bundle: SimpleNamespace, genome: Genome, start: int, end: int
) -> None:
    locus = explain_locus(bundle, genome, "1", start, end, shuffles=4)
    place = pd.DataFrame({"chrom": ["chr1"], "start": [start], "end": [end]})
    assert locus.codes.tolist() == genome.fetch(place)[0].tolist()
    weights = Linear.weights.numpy()
    expected = weights[:, None] - weights[locus.codes][None]
    assert np.allclose(locus.effects, expected, atol=1e-4)
    assert locus.contributions.shape == (end - start,)
    middles = locus.track["position"].to_numpy()
    windows = pd.DataFrame(
        {"chrom": "chr1", "start": middles - WINDOW // 2, "end": middles + WINDOW // 2}
    )
    forward = weights[genome.fetch(windows)].sum(axis=1)
    back = weights[3 - genome.fetch(windows)].sum(axis=1)
    assert np.allclose(locus.track["logit"], (forward + back) / 2, atol=1e-3)
    if start == 0:
        rare = explain_locus(bundle, genome, "1", start, end, shuffles=1, prevalence=0.05)
        assert np.allclose(rare.track["probability"], locus.track["probability"] / 10)
        assert np.allclose(rare.track["logit"], locus.track["logit"])


def test_files_and_the_site(bundle: SimpleNamespace, genome: Genome, tmp_path: Path) -> None:
    matrix = np.full((len(SITE), 4), 0.01)
    matrix[np.arange(len(SITE)), encode(SITE)] = 0.97
    locus = explain_locus(
        bundle, genome, "chr1", 385, 425, motifs=[PWM("M", matrix, "AP1")], p_value=1e-3, shuffles=2
    )
    assert locus.hits[["name", "start", "end"]].iloc[0].tolist() == ["AP1", 400, 407]
    assert np.isclose(locus.hits["attribution"].iloc[0], locus.contributions[15:22].sum())
    files = write_locus(tmp_path / "o", locus)
    assert sorted(file.name for file in files) == [
        "bases.tsv", "hits.tsv", "locus.png", "locus.svg", "track.tsv",
    ]  # fmt: skip
    assert all(file.is_file() for file in files)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "bases.tsv").write_text("mine")
    with pytest.raises(InputError, match="or an earlier locus"):
        write_locus(tmp_path / "mine", locus)
    bases = pd.read_csv(tmp_path / "o" / "bases.tsv", sep="\t")
    assert "".join(bases["base"][15:22]) == SITE
    assert bases["position"].tolist() == list(range(386, 426))
    assert len(draw_locus(locus).axes) >= 4


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (("chr9", 5, 9), "no chromosome 'chr9'"),
        (("chr1", 5, 5000), "inside chr1, which is 907 bp"),
        (("chr2", 5, 9), "chr2 is 40 bp long, the model reads windows of 60 bp"),
    ],
)
def test_a_locus_that_cannot_be_read_is_refused(
    bundle: SimpleNamespace, genome: Genome, place: tuple[str, int, int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        explain_locus(bundle, genome, *place)
