"""Small bundles, made without training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cistransfer.genome.bed import regions_table
from cistransfer.models.bundle import Bundle, open_bundle, save_bundle
from cistransfer.models.card import Architecture
from cistransfer.models.model import MotifFeatures
from cistransfer.models.registry import build_model
from cistransfer.motifs.pwm import PWM

WINDOW = 100


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CISTRANSFER_CACHE", str(tmp_path / "cache"))


def make_bundle(
    folder: Path,
    architecture: str = "chromtransfer",
    *,
    tasks: tuple[str, ...] = ("SPI1",),
    motifs: bool = False,
    link: str = "independent",
    seed: int = 1,
    window: int = WINDOW,
    **facts: object,
) -> Bundle:
    """A bundle of initial weights, with statistics and log-odds that are not the default ones."""
    pwms = [PWM(f"m{k}", np.full((k, 4), 0.1) + 0.6 * np.eye(4)[np.arange(k) % 4]) for k in (6, 9)]
    beside = MotifFeatures([6, 9, 9], bags=1, folds=2) if motifs else None
    model = build_model(
        architecture, window=window, n_tasks=len(tasks), seed=seed, motifs=beside, link=link
    )
    if beside is not None:
        beside.fill([pwms[0], pwms[1], pwms[1]])
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if tensor.dim() > 1 and not name.startswith("motifs.") and architecture != "chromtransfer":
            tensor *= 2  # so that scores depend on the sequence
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                tensor.data += torch.rand(tensor.shape, generator=generator)
    rng = np.random.default_rng(seed)
    save_bundle(
        folder,
        model.eval(),
        architecture=Architecture(name=architecture),
        tasks=tasks,
        window=window,
        regions=regions_table(["chr1", "chr2"], [0, 5], [100, 105], part=["train", "valid"]),
        example=rng.integers(0, 4, (3, window), dtype=np.uint8),
        facts={
            "threshold": [0.25] * len(tasks),
            "temperature": [2.5] * len(tasks),
            "validation": {"aucpr": [0.5] * len(tasks), "auroc": [0.75] * len(tasks)},
            "strategy": {"name": "toy"},
            "assembly": "toy1",
            "split": {"by": "chromosome", "valid": ["chr2"], "test": ["chr3"]},
            "counts": {"train": {"SPI1": {"bound": 1200, "unbound": 3400}}},
            **facts,
        },
        seen={"train": np.arange(5, dtype=np.uint64)},
    )
    return open_bundle(folder)


@pytest.fixture(scope="session")
def make() -> Callable[..., Bundle]:
    """`make_bundle`."""
    return make_bundle


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A small bundle with motifs (read only)."""
    return make_bundle(tmp_path_factory.mktemp("sharing") / "toy", motifs=True)


@pytest.fixture(scope="session")
def words() -> list[str]:
    """Some sequences; one has an N."""
    rng = np.random.default_rng(7)
    texts = ["".join(rng.choice(list("ACGT"), WINDOW)) for _ in range(8)]
    return [*texts[:-1], texts[-1][:50] + "N" + texts[-1][51:]]
