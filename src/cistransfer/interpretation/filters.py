"""First-layer filters as motifs: what sequence makes each of them fire."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.interpretation.figures import draw_logos
from cistransfer.interpretation.gradients import device_of
from cistransfer.interpretation.layers import first_filters, fold_norms, run_filters
from cistransfer.interpretation.steps import Methods, Panel, Step
from cistransfer.models.blocks import one_hot, reverse_codes
from cistransfer.models.score import evaluating
from cistransfer.motifs.files import write_meme
from cistransfer.motifs.pwm import PWM, consensus, from_counts, information_content, trim
from cistransfer.progress import bar
from cistransfer.tables import write_tsv

if TYPE_CHECKING:
    from cistransfer.interpretation.subject import Subject

__all__ = [
    "STEP",
    "FilterMotifs",
    "annotate_filters",
    "correct_sequences",
    "filter_motifs",
    "filters_of",
    "needs_tomtom",
    "right_rows",
]

Codes = NDArray[np.uint8]

_WORD = 4
_WORDS = 5**_WORD  # letters A, C, G, T and N
_MAX_SEQUENCES = 50_000  # read for the motifs of the filters
_TOGETHER = 25_600  # bp
_MIN_BITS = 0.4  # of the best position of a filter that has a name
_SHUFFLED = 20_000  # shuffled filters in all, against which matches are calibrated


@dataclass(frozen=True)
class FilterMotifs:
    """Motifs of a model's first-layer filters.

    Attributes
    ----------
    pwms : tuple of PWM
        ``filter0``, ``filter1``, …; filters without a site are left out.
    filters : ndarray of int64
        Which filter each motif belongs to.
    counts : ndarray of int64, shape (filters, kernel, 4)
        Letters of all sites, filters without a site included.
    sites : ndarray of int64, shape (filters,)
        Windows above the threshold.
    maxima : ndarray of float32, shape (filters,)
        Largest activation; 0 or less: the filter never fires.
    sequences : int
        How many sequences were looked at (reverse complements not counted).
    """

    pwms: tuple[PWM, ...]
    filters: NDArray[np.int64]
    counts: NDArray[np.int64]
    sites: NDArray[np.int64]
    maxima: NDArray[np.float32]
    sequences: int


def correct_sequences(
    logits: NDArray[np.float32],
    labels: NDArray[np.int8],
    thresholds: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.bool_]:
    """Sequences all of whose resolved outputs are right (and that have at least one).

    Parameters
    ----------
    logits : ndarray, shape (n, tasks)
    labels : ndarray of int8, shape (n, tasks)
        1, 0, or −1 (unresolved: not looked at).
    thresholds : float or ndarray, shape (tasks,)
        Logit from which an output is positive; 0 is a probability of 0.5, as published.
    """
    resolved = labels >= 0
    right = (logits >= thresholds) == (labels == 1)
    return np.asarray((right | ~resolved).all(axis=1) & resolved.any(axis=1))


def filter_motifs(
    model: nn.Module,
    codes: Codes,
    *,
    share: float = 0.5,
    both_strands: bool = True,
    batch_size: int | None = None,
    tick: Callable[[int], None] | None = None,
) -> FilterMotifs:
    """Motif of each first-layer filter (Novakovsky et al. 2021, "Model interpretation").

    The activation is that behind the convolution's batch norm and ReLU, before pooling. In a
    first pass the largest activation of each filter over all sequences and positions is found; in
    a second one every window strictly above ``share`` of it is counted, overlapping ones too.
    Memory does not grow with the number of sequences.

    Parameters
    ----------
    model : nn.Module
        Starts with a convolution over the sequence; handed back as it came.
    codes : ndarray of uint8, shape (n, length)
        May be memory-mapped. Take those that the model gets right (`correct_sequences`). Windows
        with N count at their other positions.
    share : float
        Threshold as a share of the largest activation.
    both_strands : bool
        Look at the reverse complements too, as published.
    batch_size : int, optional
        Sequences at a time; by default as many as have 25,600 bp, which fit the caches.
    tick : callable, optional
        Told the number of sequences after each batch of both passes.

    Raises
    ------
    InputError
        Without sequences, or for a model whose first layer is no convolution.
    """
    if not len(codes):
        raise InputError("expected at least one sequence to read filters from, found none")
    batch_size = batch_size or max(1, _TOGETHER // codes.shape[1])
    block = first_filters(model, codes.shape[1])
    device = device_of(model)
    n_filters = int(_weight(block[0]).shape[0])
    maxima = torch.full((n_filters,), -torch.inf, device=device)
    counts = torch.zeros((n_filters, _weight(block[0]).shape[2], 4), dtype=torch.int64)
    sites = torch.zeros(n_filters, dtype=torch.int64)
    with evaluating(model), torch.inference_mode():
        fast = fold_norms(block)
        if type(fast[-1]) is nn.ReLU:  # thresholds are above 0: what it cuts off is never counted
            fast = fast[:-1]
        words = WordFilters(fast) if WordFilters.fits(fast[0]) else None
        total = words.empty() if words is not None else counts
        for batch in _batches(codes, device, both_strands, batch_size, tick):
            if words is not None:
                active = words.activations(words.numbers(batch)).amax(dim=0)
            else:
                active = run_filters(fast, one_hot(batch)).amax(dim=(0, 2))
            maxima = torch.maximum(maxima, active)
        if len(fast) < len(block) and isinstance(block[-1], nn.ReLU):
            maxima = maxima.clamp(min=0)
        threshold = torch.where(maxima > 0, share * maxima, torch.inf)
        for batch in _batches(codes, device, both_strands, batch_size, tick):
            if words is not None:
                numbers = words.numbers(batch)
                found = words.count(numbers, words.activations(numbers) > threshold, total)
            else:
                hits = torch.nonzero(run_filters(fast, one_hot(batch)) > threshold[:, None])
                found = torch.bincount(hits[:, 1], minlength=n_filters)
                counts += _letters(block[0], batch, hits, n_filters).cpu()
            sites += found.cpu()
        if words is not None:
            counts = words.letters(total).cpu()
    table = counts.numpy()
    usable = np.flatnonzero((table.sum(axis=2) > 0).all(axis=1))
    pwms = tuple(from_counts(f"filter{number}", table[number]) for number in usable)
    return FilterMotifs(
        pwms, usable, table, sites.numpy(), maxima.float().cpu().numpy(), len(codes)
    )


def annotate_filters(
    found: FilterMotifs, targets: Sequence[PWM], *, q: float = 0.05, seed: int = 0
) -> pd.DataFrame:
    """One row per filter: its motif and the known motif it resembles most.

    Tomtom on both strands, calibrated against column-shuffled filters
    (`cistransfer.motifs.compare.compare`); filters of little information are set aside. Positions
    below 0.25 bits are cut off both ends first: the flat ends of a filter match the flat ends of
    a wide motif, whatever lies between. A nearly flat filter, none of whose positions has more than
    0.4 bits, is given no name.

    Returns
    -------
    DataFrame
        ``filter``, ``sites``, ``maximum``, ``information`` (bits), ``highest`` (bits of the best
        position), ``flat``, ``consensus``, ``match``, ``match_name``, ``strand``, ``p``
        (calibrated), ``q``, ``significant``. The match columns are empty (NaN for numbers) for
        filters without sites or with too little information, for flat ones, and without
        ``targets``.
    """
    from cistransfer.motifs.compare import compare

    by_filter = dict(zip(found.filters.tolist(), found.pwms, strict=True))
    pwms = [by_filter.get(number) for number in range(len(found.sites))]
    bits = [information_content(pwm) if pwm else np.zeros(1) for pwm in pwms]
    table = pd.DataFrame(
        {
            "filter": np.arange(len(found.sites)),
            "sites": found.sites,
            "maximum": found.maxima,
            "information": [float(each.sum()) for each in bits],
            "highest": [float(each.max()) for each in bits],
            "consensus": [consensus(pwm) if pwm else "" for pwm in pwms],
        }
    )
    table.insert(5, "flat", (table["sites"] > 0) & (table["highest"] <= _MIN_BITS))
    named = [i for i, number in enumerate(found.filters) if not table["flat"][number]]
    if not targets or not named:
        return table.assign(
            match="", match_name="", strand="", p=np.nan, q=np.nan, significant=False
        )
    shuffles = int(np.clip(_SHUFFLED // len(named), 20, 1000))
    queries = [trim(found.pwms[i], 0.25) for i in named]
    best = compare(queries, targets, max_shuffles=shuffles, seed=seed)
    best = best.drop_duplicates("query")
    best = pd.DataFrame(
        {
            "filter": found.filters[named][best["query"].to_numpy()],
            "match": best["target_name"].to_numpy(),
            "match_name": best["target_alt_name"].to_numpy(),
            "strand": best["strand"].to_numpy(),
            "p": best["p_calibrated"].to_numpy(),
            "q": best["q"].to_numpy(),
        }
    )
    table = table.merge(best, how="left", on="filter")
    for column in ("match", "match_name", "strand"):
        table[column] = table[column].fillna("")
    return table.assign(significant=(table["q"] <= q).to_numpy())


def right_rows(subject: Subject) -> NDArray[np.int64]:
    """Rows that the model gets right; all when there are no labels or none is right.

    At the model's fitted thresholds, or (``filters_from="published"``) at a probability of 0.5,
    which is a logit of 0.
    """
    labels = subject.material.labels
    published = subject.methods.filters_from == "published"
    thresholds = 0.0 if published else subject.bundle.thresholds
    if labels is not None and (labels >= 0).any():
        rows = np.flatnonzero(correct_sequences(subject.logits, labels, thresholds))
        if len(rows):
            return rows
    return np.arange(len(subject.material.codes))


def filters_of(subject: Subject) -> tuple[FilterMotifs, pd.DataFrame]:
    """Motifs of the model's filters, and what is known of each."""
    rows = subject.sample(right_rows(subject), _MAX_SEQUENCES)
    with bar("filters", 2 * len(rows)) as running:
        codes = np.asarray(subject.material.codes[rows])
        motifs = filter_motifs(subject.bundle.model, codes, tick=running.advance)
    return motifs, annotate_filters(motifs, subject.motifs, seed=subject.seed)


def needs_tomtom(methods: Methods) -> None:
    """Refuse known motifs where what compares with them is not installed."""
    if methods.motifs is not None and find_spec("memelite") is None:
        raise InputError("comparing motifs needs memelite: pip install 'cistransfer[motifs]'")


def _run(subject: Subject) -> dict[str, Any]:
    """Write ``filters.tsv``, ``filters.meme`` and their logos."""
    motifs, table = subject.filters
    write_tsv(subject.out / "filters.tsv", table)
    write_meme(subject.out / "filters.meme", motifs.pwms)
    by_number = dict(zip(motifs.filters.tolist(), motifs.pwms, strict=True))
    ordered = table[table["filter"].isin(by_number)].sort_values(
        ["q", "information"], ascending=[True, False]
    )
    titles = [
        f"filter {row.filter}" + (f": {row.match_name or row.match}" if row.significant else "")
        for row in ordered.itertuples()
    ]
    pwms = [by_number[number] for number in ordered["filter"]]
    subject.draw(draw_logos(pwms, titles, what="filters, best match first"), "filters", ordered)
    return {
        "from": subject.methods.filters_from,
        "sequences": motifs.sequences,
        "filters": len(table),
        "with_sites": len(motifs.pwms),
        "flat": int(table["flat"].sum()),
        "resembling_a_known_motif": int(table["significant"].sum()),
    }


def _words(told: Mapping[str, Any]) -> str:
    text = f"{told['with_sites']} of {told['filters']} filters fire"
    if "flat" in told:
        how = "a probability of 0.5" if told["from"] == "published" else "the fitted threshold"
        text += (
            f" (read from {told['sequences']:,} windows that are right at {how}); "
            f"{told['flat']} are nearly flat and have no name"
        )
    return f"{text}; {told['resembling_a_known_motif']} resemble a known motif."


def _batches(
    codes: Codes,
    device: torch.device,
    both_strands: bool,
    batch_size: int,
    tick: Callable[[int], None] | None,
) -> Any:
    for at in range(0, len(codes), batch_size):
        batch = torch.from_numpy(np.array(codes[at : at + batch_size])).to(device)
        yield batch
        if both_strands:
            yield reverse_codes(batch)
        if tick is not None:
            tick(len(batch))


def _weight(convolution: Any) -> Tensor:
    weight = convolution.weight
    if weight.dim() == 3:
        return weight
    return weight.flatten(1, 2) if weight.shape[1] == 1 else weight[:, :, 0]


def _letters(convolution: Any, codes: Tensor, hits: Tensor, n_filters: int) -> Tensor:
    """Letters of the windows at hits (sequence, filter, position), (filters, kernel, 4)."""
    stride, padding, dilation = (
        value if isinstance(value, int) else value[-1]
        for value in (convolution.stride, convolution.padding, convolution.dilation)
    )
    kernel = _weight(convolution).shape[2]
    sequence, number, position = hits.unbind(1)
    start = position * stride - padding
    counts = torch.zeros((kernel, n_filters * 5), dtype=torch.int64, device=codes.device)
    for offset in range(kernel):
        place = start + offset * dilation
        letter = codes[sequence, place.clamp(0, codes.shape[1] - 1)].long()
        letter[(place < 0) | (place >= codes.shape[1])] = 4  # padding counts for nothing
        counts[offset] = torch.bincount(number * 5 + letter, minlength=n_filters * 5)
    return counts.view(kernel, n_filters, 5)[:, :, :4].permute(1, 0, 2)


class WordFilters:
    """The first convolution through tables of words: a sum of a few rows for each window.

    A one-hot window picks one weight per position, so a kernel is a sum of table look-ups: one for
    each stretch of four letters. That is a fraction of the multiplications of a convolution, and
    the same word numbers count the letters under the windows that a filter fires on.

    Parameters
    ----------
    block : sequence of Module
        A convolution over one-hot letters that slides one step at a time, then what follows it.
    """

    def __init__(self, block: Sequence[nn.Module]) -> None:
        layer: Any = block[0]
        weight: Tensor = layer.weight.detach()
        weight = weight if weight.dim() == 3 else weight[:, :, 0]
        self.filters, _, self.kernel = weight.shape
        self.rest = list(block[1:])
        padding = layer.padding
        self.padding = int(padding if isinstance(padding, int) else padding[-1])
        self.groups = -(-self.kernel // _WORD)
        letters = torch.zeros(
            (self.groups * _WORD, 5, self.filters), device=weight.device, dtype=weight.dtype
        )
        letters[: self.kernel, :4] = weight.permute(2, 1, 0)
        tables = []
        for group in letters.unflatten(0, (self.groups, _WORD)):
            table = torch.zeros((1, self.filters), device=weight.device, dtype=weight.dtype)
            for place in group:
                table = (table[:, None] + place[None]).flatten(0, 1)
            tables.append(table)
        if layer.bias is not None:
            tables[0] = tables[0] + layer.bias.detach()
        self.table = torch.cat(tables)

    @staticmethod
    def fits(layer: nn.Module) -> bool:
        """Whether a layer is a convolution that words can stand for."""
        return (
            isinstance(layer, nn.Conv1d | nn.Conv2d)
            and layer.in_channels == 4
            and layer.groups == 1
            and layer.stride[-1] == layer.dilation[-1] == 1
            and (isinstance(layer, nn.Conv1d) or layer.kernel_size[0] == 1)
            and not isinstance(layer.padding, str)
            and layer.padding_mode == "zeros"
        )

    def numbers(self, codes: Tensor) -> Tensor:
        """Rows of the table for each window, (n, windows, groups), of codes (n, length)."""
        windows = codes.shape[1] + 2 * self.padding - self.kernel + 1
        spare = self.groups * _WORD - self.kernel
        wide = nn.functional.pad(codes.int(), (self.padding, self.padding + spare), value=4)
        count = wide.shape[1] - _WORD + 1
        word = wide[:, :count].clone()
        for place in range(1, _WORD):
            word = word.mul_(5).add_(wide[:, place : place + count])
        return torch.stack(
            [
                word[:, group * _WORD : group * _WORD + windows] + group * _WORDS
                for group in range(self.groups)
            ],
            dim=2,
        )

    def activations(self, numbers: Tensor) -> Tensor:
        """What the block gives, (n · windows, filters)."""
        flat = nn.functional.embedding_bag(numbers.flatten(0, 1), self.table, mode="sum")
        if not self.rest:
            return flat
        shaped = flat.unflatten(0, numbers.shape[:2]).permute(0, 2, 1)
        return run_filters(self.rest, shaped).permute(0, 2, 1).flatten(0, 1)

    def count(self, numbers: Tensor, above: Tensor, total: Tensor) -> Tensor:
        """Add the words of windows at which filters fire, and say how often each filter does.

        Parameters
        ----------
        numbers : Tensor, shape (n, windows, groups)
        above : Tensor of bool, shape (n · windows, filters)
        total : Tensor of int64, from `empty`
            Added to.
        """
        if above.device.type == "cpu":  # many times faster than torch.nonzero
            hits = torch.from_numpy(np.flatnonzero(above.numpy()))
        else:
            hits = torch.nonzero(above.flatten())[:, 0]
        window, number = hits // self.filters, hits % self.filters
        rows = numbers.flatten(0, 1).index_select(0, window).long()
        rows += (number * (self.groups * _WORDS))[:, None]
        total += torch.bincount(rows.flatten(), minlength=len(total))
        return torch.bincount(number, minlength=self.filters)

    def empty(self) -> Tensor:
        """A table of counts for `count`."""
        size = self.filters * self.groups * _WORDS
        return torch.zeros(size, dtype=torch.int64, device=self.table.device)

    def letters(self, total: Tensor) -> Tensor:
        """Counts of words as counts of letters, (filters, kernel, 4); N and padding left out."""
        words = total.view(self.filters, self.groups, *[5] * _WORD)
        places = []
        for group in range(self.groups):
            for place in range(_WORD):
                others = [1 + other for other in range(_WORD) if other != place]
                places.append(words[:, group].sum(dim=others))
        return torch.stack(places, dim=1)[:, : self.kernel, :4]


STEP = Step(
    title="Filters",
    run=_run,
    words=_words,
    panels=(Panel("filters", "First-layer filters as motifs, best known match first."),),
    check=needs_tomtom,
)
