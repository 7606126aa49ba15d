"""The model that is trained, stored and explained: a network, motifs beside it, a head, a link."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.models.kernels import in_use
from cistransfer.motifs.pwm import PWM, UNIFORM, log_odds

__all__ = ["LINKS", "Model", "MotifFeatures", "one_versus_rest"]

LINKS = ("independent", "exclusive")
"""How logits become probabilities: each task a question of its own (sigmoid), or the tasks are
classes of which exactly one is true (softmax)."""


class Model(nn.Module):
    """A network whose parts are the model's own, under the network's names.

    ``model.conv1`` is ``network.conv1``, and a tensor is called ``conv1.conv.weight`` whatever
    stands around the network: patterns of a strategy and files of weights need no prefix.

    Parameters
    ----------
    network : nn.Module
        Has ``features``, one-hot ``(n, 4, window)`` → ``(n, k)``, and a linear ``head`` over them.
        It becomes part of the model: what is done to the one is done to the other.
    motifs : MotifFeatures, optional
        Their occupancies stand behind the network's features, and a fresh ``head`` over both
        replaces the network's.
    link : {"independent", "exclusive"}
        ``exclusive`` normalises the outputs over the tasks by softmax; they are logits all the
        same, so thresholds, temperatures, averages over strands and metrics need to know nothing
        of it. ChromTransfer's multi-class baseline (Salvatore et al. 2023) is such a model.

    Attributes
    ----------
    network : nn.Module
        What was given; its head is the model's.

    Raises
    ------
    InputError
        When there is no linear head to stand behind motifs, the network has a module called
        ``motifs`` already, or exclusive classes are fewer than two.
    """

    network: nn.Module
    motifs: MotifFeatures | None
    head: nn.Linear

    def __init__(
        self, network: nn.Module, motifs: MotifFeatures | None = None, link: str = "independent"
    ) -> None:
        head = getattr(network, "head", None)
        if link not in LINKS:
            raise InputError(f"link must be one of {', '.join(LINKS)}, found {link!r}")
        if motifs is not None and not isinstance(head, nn.Linear):
            raise InputError("a model with motifs needs a network with a linear head")
        if motifs is not None and "motifs" in network._modules:
            raise InputError("motifs cannot stand beside a network that has a module 'motifs'")
        tasks = getattr(head, "out_features", None)
        if link == "exclusive" and tasks is not None and tasks < 2:
            raise InputError(f"exclusive classes must be at least two, found {tasks}")
        mode = network.training
        # Not as attributes of a module: the network would be a child, and its parts have a prefix.
        self.__dict__.update(network=network, motifs=motifs, link=link)
        super().__init__()
        self._modules, self._parameters = network._modules, network._parameters
        self._buffers = network._buffers
        self._non_persistent_buffers_set = network._non_persistent_buffers_set
        if motifs is not None:
            assert isinstance(head, nn.Linear)
            self._modules["motifs"] = motifs.train(mode)
            wider = nn.Linear(head.in_features + motifs.n_features, head.out_features)
            self._modules["head"] = wider.to(head.weight).train(mode)
        self.training = mode

    @property
    def training(self) -> bool:
        """Whether the model, and so its network, is in training mode."""
        return self.network.training

    @training.setter
    def training(self, mode: bool) -> None:
        self.network.training = mode

    @property
    def symmetric(self) -> bool:
        """Whether a sequence and its reverse complement have the same logits and features."""
        return bool(getattr(self.network, "symmetric", False))

    @property
    def no_gradient(self) -> bool:
        """Whether the features have no gradient by the sequence: only mutants show what is read."""
        return bool(getattr(self.network, "no_gradient", False))

    def network_features(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to the network's features, without motifs."""
        found: Tensor = self.network.features(x)  # type: ignore[operator]
        return found

    def features(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to the input of the head."""
        found = self.network_features(x)
        if self.motifs is None:
            return found
        return torch.cat([found, self.motifs(x).to(found.dtype)], dim=1)

    def network_features_of_strands(self, x: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """`network_features` of sequences and of their reverse complements, to rounding.

        What reads both strands at once (a bank of filters, where the network has
        ``features_of_strands``) is asked once.
        """
        apart = getattr(self.network, "features_of_strands", None)
        if apart is None or not in_use():
            return self.network_features(x), self.network_features(other)
        found: tuple[Tensor, Tensor] = apart(x, other)
        return found

    def features_of_strands(self, x: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """`features` of sequences and of their reverse complements; motifs are asked once."""
        if not in_use():
            return self.features(x), self.features(other)
        given, turned = self.network_features_of_strands(x, other)
        if self.motifs is None:
            return given, turned
        beside = self.motifs(x).to(given.dtype)
        return torch.cat([given, beside], dim=1), torch.cat([turned, beside], dim=1)

    def logits_of_strands(self, x: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of sequences and of their reverse complements, by `features_of_strands`."""
        apart = getattr(self.network, "features_of_strands", None)
        if not in_use() or (apart is None and self.motifs is None):
            return self(x), self(other)
        given, turned = (self.head(found) for found in self.features_of_strands(x, other))
        if self.link == "exclusive":
            return one_versus_rest(given), one_versus_rest(turned)
        return given, turned

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to logits ``(n, n_tasks)``."""
        logits = self.network(x) if self.motifs is None else self.head(self.features(x))
        return one_versus_rest(logits) if self.link == "exclusive" else logits


def one_versus_rest(scores: Tensor) -> Tensor:
    """Logit of each class's softmax probability: its score minus the log-sum-exp of the others.

    Parameters
    ----------
    scores : tensor, shape (n, classes)

    Returns
    -------
    tensor, shape (n, classes)
        ``sigmoid`` of it is ``softmax(scores)``.
    """
    classes = scores.shape[1]
    number = torch.arange(classes, device=scores.device)
    own = number[:, None] == number
    others = scores[:, None, :].expand(-1, classes, -1).masked_fill(own, -torch.inf)
    return scores - torch.logsumexp(others, dim=2)


class MotifFeatures(nn.Module):
    """Log sum-occupancy of each motif over positions and both strands.

    The natural logarithm of `cistransfer.motifs.scan.sum_occupancy` (the score of PWMScan that
    Novakovsky et al. 2021 use), computed on one-hot. The log-odds are buffers: no phase trains
    them. A base that is N scores 0.

    Parameters
    ----------
    widths : sequence of int
        Width of each motif in bp.
    bags, folds : int
        The last ``bags × folds`` motifs are versions of ``bags`` motifs, found in different parts
        of the data: one feature each, the mean over its ``folds`` versions.
    """

    def __init__(self, widths: Sequence[int], bags: int = 0, folds: int = 0) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.bags, self.folds = bags, folds
        if not 0 <= bags * folds <= len(self.widths):
            raise InputError(
                f"{bags} bags of {folds} folds need {bags * folds} motifs, found {len(self.widths)}"
            )
        self.n_single = len(self.widths) - bags * folds
        for number, width in enumerate(self.widths):
            self.register_buffer(f"odds{number}", torch.zeros(4, width))

    def fill(self, pwms: Sequence[PWM], background: Sequence[float] = UNIFORM) -> None:
        """Take the log-odds of motifs, in place; their widths must be those of the module."""
        if tuple(len(pwm.probabilities) for pwm in pwms) != self.widths:
            raise ValueError("the motifs do not have the widths that the module was made for")
        for number, pwm in enumerate(pwms):
            odds = np.asarray(log_odds(pwm, background)) * np.log(2)
            self.get_buffer(f"odds{number}").copy_(torch.from_numpy(odds.T.copy()))

    @property
    def n_features(self) -> int:
        """Columns of the result: the single motifs, then the bags."""
        return self.n_single + self.bags

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, length)`` to ``(n, n_features)``, float32."""
        return self.bagged(self.each(x))

    def bagged(self, each: Tensor) -> Tensor:
        """Features of what `each` gives: the mean over the versions of a motif."""
        if not self.bags:
            return each
        versions = each[:, self.n_single :].unflatten(1, (self.bags, self.folds))
        return torch.cat([each[:, : self.n_single], versions.mean(dim=2)], dim=1)

    def each(self, x: Tensor) -> Tensor:
        """Log occupancy of every motif by itself, ``(n, motifs)``, float32."""
        columns = []
        with torch.autocast(x.device.type, enabled=False):
            for number in range(len(self.widths)):
                odds = self.get_buffer(f"odds{number}").float()
                both = torch.stack([odds, odds.flip(0, 1)])
                columns.append(torch.logsumexp(nn.functional.conv1d(x.float(), both), dim=(1, 2)))
        return torch.stack(columns, dim=1) if columns else x.new_zeros(len(x), 0)
