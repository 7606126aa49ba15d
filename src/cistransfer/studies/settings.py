"""What the accessibility study compares, and its defaults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from cistransfer.errors import InputError
from cistransfer.options import check_options, option

__all__ = ["QUICK", "Settings"]


def _per_cents(text: str) -> tuple[float, ...]:
    """Read ``5,100``."""
    try:
        return tuple(float(part) / 100 for part in text.split(",") if part.strip())
    except ValueError as error:
        raise InputError(f"--percent: expected numbers such as 5,100, found {text!r}") from error


@dataclass(frozen=True)
class Settings:
    """What is compared.

    Attributes
    ----------
    architecture : str
        A name of the registry; a trunk brings its own.
    trunk : str or None
        A bundle, or the name of a shipped one, to start from instead of pre-training.
    strategies : tuple of str
        Of the cells' models; those that start from a trunk start from the pre-trained network.
        The gain of the first one over the others is drawn.
    pretraining, multiclass : str
        Strategies of the trunk and of the multi-class networks.
    baselines : tuple of str
        Of `cistransfer.evaluation.baselines.BASELINES`; fitted in each training set, without a
        trunk.
    fractions : tuple of float
        Shares of the training set; 1 is always among them.
    draws : int
        Draws of each share below 1.
    max_positives, max_test_positives : int or None
        Most positives of a cell for training (a third of it for validation), and for the test.
    epochs : int or None
        Most epochs of each phase of the cells' models, instead of the strategies' own.
    pretraining_epochs, multiclass_epochs : int
        The same for the trunks and the multi-class networks.
    seed : int
    """

    architecture: str = option("cnn", against=("trunk",), help="Network: see 'cistransfer models'.")
    trunk: str | None = option(
        None,
        path=True,
        metavar="RUN",
        help="Start from this trunk ('general': the shipped one) instead of pre-training.",
    )
    strategies: tuple[str, ...] = option(
        ("tune-whole", "finetune", "scratch-whole"),
        help="Comma list of strategies for the cells' models.",
    )
    pretraining: str = option("pretrain", against=("trunk",), help="Strategy of the trunk.")
    multiclass: str = option(
        "multiclass",
        help="Strategy of the multi-class networks (or chromtransfer-multiclass).",
    )
    baselines: tuple[str, ...] = option(
        ("gc", "kmer"), help="Comma list of baselines: see 'cistransfer evaluate'."
    )
    fractions: tuple[float, ...] = option(
        (0.05, 1.0),
        flag="--percent",
        read=_per_cents,
        help="Comma list: per cent of the training set [default: 5,100].",
    )
    draws: int = option(2, min=1, help="Draws of each share below 100.")
    max_positives: int | None = option(
        None, min=1, help="Most positives of a cell to train on [default: all]."
    )
    max_test_positives: int | None = option(
        None, min=1, help="Most positives of a cell to test on [default: all]."
    )
    epochs: int | None = option(None, min=1, help="Most epochs of a cell's models.")
    pretraining_epochs: int = option(8, min=1, against=("trunk",), help="Epochs of the trunk.")
    multiclass_epochs: int = option(8, min=1, help="Epochs of the multi-class networks.")
    seed: int = option(
        0, min=0, max=2**63 - 1, panel="Computing", help="Seed of everything random."
    )

    def __post_init__(self) -> None:
        check_options(self)
        if not self.strategies:
            raise InputError("the study needs at least one strategy")
        for fraction in self.fractions:
            if not 0 < fraction <= 1:
                raise InputError(f"a share of the training set lies in (0, 1], found {fraction}")

    def quick(self, kept: frozenset[str] = frozenset()) -> Settings:
        """For minutes, to see that everything works; what is ``kept`` stays (see `QUICK`)."""
        idle = {"pretraining_epochs"} if self.trunk else set()
        return replace(self, **{name: v for name, v in QUICK.items() if name not in kept | idle})


QUICK: dict[str, Any] = {
    "strategies": ("tune-whole", "scratch-whole"),
    "fractions": (0.1, 1.0),
    "draws": 1,
    "max_positives": 400,
    "max_test_positives": 300,
    "epochs": 4,
    "pretraining_epochs": 2,
    "multiclass_epochs": 2,
}
"""Settings of ``--quick``: minutes, to see that everything works; not a result."""
