"""Part of an example set: fewer training examples in the same proportions, the test part whole."""

from __future__ import annotations

import numpy as np

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet

__all__ = ["subset"]


def subset(
    examples: ExampleSet,
    *,
    fraction: float = 1.0,
    most: dict[str, int] | None = None,
    seed: int = 0,
) -> ExampleSet:
    """Keep a share of the training and validation examples, drawn within each class.

    The bootstrap of training sizes of Salvatore et al. 2023 (Table 1): the class ratio is kept.
    The validation part shrinks with the training part, because who has few examples has few to
    validate on; the test part does not depend on ``fraction``.

    Parameters
    ----------
    examples : ExampleSet
        Of one task.
    fraction : float
        Share of the training and validation examples, in (0, 1].
    most : dict of part → int, optional
        Most positives of a part; its negatives shrink with them. Applied before ``fraction``.
    seed : int
        Of the draw; with different fractions of one seed the smaller set lies in the larger.

    Returns
    -------
    ExampleSet
        Rows in their old order.

    Raises
    ------
    InputError
        For a fraction out of range, several tasks, or when a class would be empty.
    """
    if not 0 < fraction <= 1:
        raise InputError(f"expected a fraction above 0 and at most 1, found {fraction}")
    if len(examples.tasks) != 1:
        raise InputError(f"expected examples of one task, found {len(examples.tasks)}")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(examples.codes))
    labels = np.asarray(examples.labels[:, 0])[order]
    parts = examples.regions["part"].to_numpy()[order]
    kept = []
    for part in ("train", "valid", "test"):
        positives = int(((parts == part) & (labels == 1)).sum())
        share = min(1.0, (most or {}).get(part, positives) / max(positives, 1))
        share *= fraction if part != "test" else 1.0
        for label in (0, 1):
            rows = order[(parts == part) & (labels == label)]
            wanted = round(share * len(rows))
            if len(rows) and not wanted:
                raise InputError(
                    f"{examples.tasks[0]}: {fraction:.3g} of the {part} part leaves no "
                    f"{'positive' if label else 'negative'} of {len(rows)}"
                )
            kept.append(rows[:wanted])
    take = np.sort(np.concatenate(kept))
    return ExampleSet(
        np.asarray(examples.codes[take]),
        np.asarray(examples.labels[take]),
        examples.regions.iloc[take].reset_index(drop=True),
        examples.tasks,
        {**examples.facts, "subset": {"fraction": fraction, "most": most, "seed": seed}},
    )
