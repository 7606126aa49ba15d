"""First-layer filters that start as motifs (DanQ's rule; Novakovsky et al. 2021, Figure S11)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.motifs.pwm import PWM, log_odds, reverse_complement_pwm
from cistransfer.training.strategy import Strategy

__all__ = ["choose_filters", "dissimilar_motifs", "initialise_filters"]


def choose_filters(
    examples: ExampleSet, strategy: Strategy, given: Sequence[PWM], *, seed: int
) -> list[PWM]:
    """Motifs that a strategy starts filters as, in the order of the filters.

    First those of ``given`` (all, or a draw of mutually dissimilar ones where the strategy wants
    fewer), then de novo motifs of the training part, each followed by its reverse complement.

    Raises
    ------
    InputError
        When the strategy needs given motifs and there are none, or several tasks would share de
        novo motifs.
    """
    plan = strategy.initialise
    if plan is None:
        return []
    if plan.given and not given:
        raise InputError(
            f"strategy {strategy.name!r} starts filters as motifs; give a file of them "
            "(--motifs FILE)"
        )
    chosen = dissimilar_motifs(given, plan.given, min_q=plan.dissimilar, seed=seed)
    if plan.denovo:
        if len(examples.tasks) != 1:
            raise InputError("de novo motifs need examples of one task")
        from cistransfer.motifs.denovo import find_motifs

        rows = examples.rows("train")
        found = find_motifs(
            np.asarray(examples.codes[rows]),
            np.asarray(examples.labels[rows, 0]),
            n_motifs=plan.denovo,
            hold_out=0.0,
            engine=strategy.engine,
            seed=seed,
        )
        for each in found:
            chosen += [each.pwm, reverse_complement_pwm(each.pwm)]
    return chosen


def dissimilar_motifs(
    pwms: Sequence[PWM], n_motifs: int, *, min_q: float = 0.05, seed: int = 0
) -> list[PWM]:
    """Draw motifs of which no two match each other (Tomtom, both orientations).

    With no more than ``n_motifs`` motifs all of them are taken, in their order, without comparing.
    Else they are gone through in random order, and each that matches none of those taken before is
    taken. Novakovsky et al. 2021 drew 50 out of one random JASPAR profile per binding mode.

    Parameters
    ----------
    n_motifs : int
        How many to take; fewer when no others are dissimilar.
    min_q : float
        Two motifs match when the q-value of either against the other is not above this.
    seed : int
        Of the draw.

    Returns
    -------
    list of PWM
        In the order in which they were drawn. A motif of less than 4 bits is never drawn.
    """
    if len(pwms) <= n_motifs:
        return list(pwms)
    if n_motifs == 0:
        return []
    from cistransfer.motifs.compare import compare

    table = compare(pwms, pwms, seed=seed)
    similar = np.zeros((len(pwms), len(pwms)), dtype=bool)
    close = table[table["q"] <= min_q]
    similar[close["query"], close["target"]] = True
    similar |= similar.T
    informative = set(table["query"])
    taken: list[int] = []
    for i in np.random.default_rng(seed).permutation(len(pwms)):
        if len(taken) < n_motifs and i in informative and not similar[i, taken].any():
            taken.append(int(i))
    return [pwms[i] for i in taken]


def initialise_filters(model: nn.Module, pwms: Sequence[PWM], values: str = "probability") -> None:
    """Set the first filters of the first convolution to motifs, in place.

    Filter i becomes motif i in the centre (of an odd number of spare positions the larger half lies
    to the right), 0 elsewhere; a motif that is wider than the filter loses both ends evenly. Biases
    and the other filters stay as they are.

    Parameters
    ----------
    model : nn.Module
        Begins with a convolution of one-hot.
    values : {"probability", "log-odds"}
        Probability − 0.25, or the natural logarithm of the odds against a uniform background.

    Raises
    ------
    InputError
        When the model does not begin with a convolution of one-hot, or has too few filters.
    """
    if not pwms:
        return
    conv = next((module for module in model.modules() if isinstance(module, nn.Conv1d)), None)
    if conv is None or conv.in_channels != 4 or conv.groups != 1:
        raise InputError("filters start as motifs only where a convolution reads the one-hot")
    filters, _, width = conv.weight.shape
    if len(pwms) > filters:
        raise InputError(
            f"expected at most {filters} motifs, one for each filter of the first convolution, "
            f"found {len(pwms)}"
        )
    with torch.no_grad():
        for number, pwm in enumerate(pwms):
            matrix = pwm.probabilities.T - 0.25
            if values == "log-odds":
                matrix = np.asarray(log_odds(pwm)).T * np.log(2)
            spare = width - pwm.width
            if spare < 0:
                start = -spare // 2
                matrix = matrix[:, start : start + width]
            at = max(spare, 0) // 2
            conv.weight[number] = 0
            conv.weight[number, :, at : at + matrix.shape[1]] = torch.from_numpy(matrix.copy())
