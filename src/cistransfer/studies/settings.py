"""What the accessibility study compares, and its defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cistransfer.errors import InputError

__all__ = ["QUICK", "Settings"]


@dataclass(frozen=True)
class Settings:
    """What the study compares.

    Attributes
    ----------
    architecture : str
        A name of the registry.
    pretraining, multiclass : str
        Strategies of the trunk and of the multi-class networks.
    strategies : tuple of str
        Of the cells' models; those that start from a trunk start from the pre-trained network.
        The gain of the first one over the others is drawn.
    baselines : tuple of str
        Of `cistransfer.evaluation.baselines.BASELINES`; fitted in each training set, without a
        trunk.
    fractions : tuple of float
        Shares of the training set; 1 is always among them.
    draws : int
        Draws of each share below 1.
    most, most_test : int or None
        Most positives of a cell for training (a third of it for validation), and for the test.
    epochs : int or None
        Most epochs of each phase of the cells' models, instead of the strategies' own.
    pretraining_epochs, multiclass_epochs : int
        The same for the trunks and the multi-class networks.
    trunk : str or None
        A bundle, or the name of a shipped one, to start from instead of pre-training.
    seed : int
    """

    architecture: str = "cnn"
    pretraining: str = "pretrain"
    multiclass: str = "multiclass"
    strategies: tuple[str, ...] = ("tune-whole", "finetune", "scratch-whole")
    baselines: tuple[str, ...] = ("gc", "kmer")
    fractions: tuple[float, ...] = (0.05, 1.0)
    draws: int = 2
    most: int | None = None
    most_test: int | None = None
    epochs: int | None = None
    pretraining_epochs: int = 8
    multiclass_epochs: int = 8
    trunk: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.strategies:
            raise InputError("the study needs at least one strategy")
        for fraction in self.fractions:
            if not 0 < fraction <= 1:
                raise InputError(f"a share of the training set lies in (0, 1], found {fraction}")
        if self.draws < 1:
            raise InputError(f"expected at least one draw, found {self.draws}")


QUICK: dict[str, Any] = {
    "strategies": ("tune-whole", "scratch-whole"),
    "fractions": (0.1, 1.0),
    "draws": 1,
    "most": 400,
    "most_test": 300,
    "epochs": 4,
    "pretraining_epochs": 2,
    "multiclass_epochs": 2,
}
"""Settings of ``--quick``: minutes, to see that everything works; not a result."""
