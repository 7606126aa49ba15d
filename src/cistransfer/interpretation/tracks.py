"""Attribution of single sequences: tables, tracks whose sites are named, means by position."""

from __future__ import annotations

import gzip
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cistransfer.figures import BLUE, DIVERGING, SKY, figure, finish
from cistransfer.genome.codes import N, decode
from cistransfer.interpretation.steps import Panel, Step
from cistransfer.interpretation.subject import browser_place
from cistransfer.motifs.hits import find_hits
from cistransfer.motifs.logo import COLOURS, draw_letters, logo_heights
from cistransfer.motifs.pwm import PWM
from cistransfer.storage import whole_file
from cistransfer.tables import write_tsv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cistransfer.interpretation.subject import Attributed, Subject

__all__ = ["STEP", "draw_mutations", "draw_positions", "draw_tracks", "name_sites", "sited"]

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_MIN_SHARE = 0.08  # of a sequence's positive contributions, for a site to be named
_MIN_FIT = 0.6
_OWN_AHEAD = 0.05  # fits as well: the task's own motif comes first
_FLANK = 8  # bp beside a hit: attribution there speaks against it
_TRACKS = 6
_SITED, _WRONG = 12, 4  # windows whose sites are named: those of the tracks first


def name_sites(
    codes: Codes,
    strength: Floats,
    motifs: Sequence[PWM],
    own: Collection[str] = (),
    *,
    p_value: float = 2e-4,
    max_sites: int = 3,
) -> pd.DataFrame:
    """Name the sites that carry a sequence's attribution by the motifs that fit it.

    A hit of a motif fits as far as the contributions correlate with the height of the same bases
    in the motif's logo, over the hit and 8 bp on both sides (where the logo is 0). So a wide motif
    over a short attributed stretch does not fit it, nor a short motif a part of a wide one. Named
    are hits with a correlation of at least 0.6 that hold 8 % of the sequence's positive
    contributions, the best first, never two that overlap; the task's own motif goes before others
    that fit better by up to 0.05.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
    strength : ndarray of float32, shape (n, length)
        Positive where a base speaks for the task.
    own : collection of str
        Names of the task's own motifs.
    p_value : float
        Of the hits.
    max_sites : int
        In a sequence.

    Returns
    -------
    DataFrame
        ``sequence`` (row), ``start``, ``end``, ``strand``, ``motif``, ``name`` (its second name,
        where it has one), ``fit`` (the correlation), ``share`` (of the positive contributions),
        ``p`` (of the hit), in the order of sequences and fit.
    """
    hits = find_hits(codes, motifs, p_value=p_value)
    heights = [logo_heights(pwm) for pwm in motifs]
    positive = np.maximum(strength, 0).sum(axis=1)
    length = codes.shape[1]
    rows = []
    for hit in hits.itertuples(index=False):
        whole = strength[hit.sequence]
        share = float(whole[hit.start : hit.end].sum() / max(positive[hit.sequence], 1e-12))
        if share < _MIN_SHARE:
            continue
        logo = heights[hit.pwm] if hit.strand == "+" else heights[hit.pwm][::-1, ::-1]
        site = codes[hit.sequence, hit.start : hit.end]
        expected = np.zeros(length)
        expected[hit.start : hit.end] = logo[np.arange(len(site)), site]
        around = slice(max(hit.start - _FLANK, 0), hit.end + _FLANK)
        fit = _correlation(whole[around], expected[around])
        if fit >= _MIN_FIT:
            pwm = motifs[hit.pwm]
            rows.append((hit.sequence, hit.start, hit.end, hit.strand, pwm.name,
                         pwm.label, fit, share, hit.p))  # fmt: skip
    columns = ["sequence", "start", "end", "strand", "motif", "name", "fit", "share", "p"]
    table = pd.DataFrame(rows, columns=columns)
    ahead = table["fit"] + _OWN_AHEAD * table["motif"].isin(set(own))
    order = np.lexsort((-ahead.to_numpy(float), table["sequence"].to_numpy(np.int64)))
    kept: list[int] = []
    taken: list[tuple[int, int, int]] = []
    for i in order:
        sequence, start, end = (int(table[column].iloc[i]) for column in columns[:3])
        mine = [(s, e) for row, s, e in taken if row == sequence]
        if len(mine) < max_sites and all(end <= s or start >= e for s, e in mine):
            kept.append(int(i))
            taken.append((sequence, start, end))
    return table.iloc[kept].reset_index(drop=True)


def _correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / size) if size > 0 else 0.0


def _run(subject: Subject) -> dict[str, Any]:
    """Write ``attribution.npz``, its table, tracks and mean by position."""
    attributed, out = subject.attributed, subject.out
    rows, codes, found = attributed.rows, attributed.codes, attributed.attribution
    names = [subject.material.names[row] for row in rows]
    logits = subject.logits[rows, subject.task]
    with whole_file(out / "attribution.npz") as temporary:
        arrays = {"codes": codes, "contributions": found.contributions}
        if found.hypothetical is not None:
            fits = np.abs(found.hypothetical).max(initial=0.0) <= np.finfo(np.float16).max
            arrays["hypothetical"] = found.hypothetical.astype(np.float16 if fits else np.float32)
        with open(temporary, "wb") as handle:
            np.savez_compressed(handle, **arrays)  # type: ignore[arg-type]
    if subject.methods.text:
        with whole_file(out / "attribution.txt.gz") as temporary:
            temporary.write_bytes(gzip.compress(_as_text(names, attributed).encode(), 6, mtime=0))
    table = pd.DataFrame(
        {
            "sequence": names,
            "logit": logits,
            "probability": subject.bundle.probabilities(subject.logits[rows])[:, subject.task],
            "label": _labels(subject, rows),
            "sum_of_contributions": found.contributions.sum(axis=1),
        }
    )
    if found.error is not None:
        table["completeness_error"] = found.error
    write_tsv(out / "attribution.tsv", table)
    means = pd.DataFrame(
        {
            "position": np.arange(codes.shape[1]),
            "mean": attributed.strength.mean(axis=0),
            "lower_quartile": np.quantile(attributed.strength, 0.25, axis=0),
            "upper_quartile": np.quantile(attributed.strength, 0.75, axis=0),
        }
    )
    write_tsv(out / "positions.tsv", means)
    label = "−change" if found.method == "mutagenesis" else "contribution"
    subject.draw(draw_positions(means, len(rows), label), "positions", means)

    best = sited(logits, table["label"])
    shown = best[:_TRACKS]
    named = None
    if subject.motifs:
        named = name_sites(
            codes[best], attributed.strength[best], subject.motifs, subject.own_motifs
        )
        write_tsv(
            out / "sites.tsv", named.assign(sequence=[names[best[i]] for i in named["sequence"]])
        )
        named = named[named["sequence"] < len(shown)]
    titles = [f"{browser_place(names[i])}  logit {logits[i]:.2f}" for i in shown]
    tracks = draw_tracks(codes[shown], attributed.strength[shown], titles, named=named, label=label)
    tracks.suptitle(
        f"The {len(shown)} windows with the highest scores, of {len(rows):,} that were attributed",
        fontsize=9, x=0.01, ha="left",
    )  # fmt: skip
    subject.draw(tracks, "attribution")
    if found.method == "mutagenesis" and found.hypothetical is not None:
        drawn = draw_mutations(codes[shown[0]], found.hypothetical[shown[0]], titles[0])
        subject.draw(drawn, "mutations")
    summary: dict[str, Any] = {"method": found.method, "on": found.on, "sequences": len(rows),
                               "drawn": len(shown)}  # fmt: skip
    if found.error is not None:
        summary["largest_completeness_error"] = float(found.error.max())
    if named is not None:
        summary["sites_named"] = {
            str(name): int(count) for name, count in named["name"].value_counts().items()
        }
    return summary


def sited(logits: ArrayLike, labels: Sequence[str] | pd.Series) -> NDArray[np.intp]:
    """The windows whose sites are named, as rows: the highest scores, then the highest unbound."""
    order = np.argsort(-np.asarray(logits), kind="stable")
    wrong = np.asarray(labels)[order] == "unbound"
    wrong[:_SITED] = False
    return np.concatenate([order[:_SITED], order[wrong][:_WRONG]])


def _labels(subject: Subject, rows: NDArray[np.int64]) -> list[str]:
    """What is known of each window: bound, unbound, or nothing."""
    labels = subject.material.labels
    if labels is None:
        return [""] * len(rows)
    words = {1: "bound", 0: "unbound"}
    return [words.get(int(value), "") for value in labels[rows, subject.task]]


def _as_text(names: Sequence[str], attributed: Attributed) -> str:
    """ChromTransfer's form: region, sequence, contributions with five decimals."""
    return "".join(
        f">{name}\n{decode(codes)}\n{' '.join(f'{value:.5f}' for value in values)}\n"
        for name, codes, values in zip(
            names, attributed.codes, attributed.attribution.contributions, strict=True
        )
    )


def _words(told: Mapping[str, Any]) -> str:
    error = told.get("largest_completeness_error")
    text = f"{told['method']} on the {told['on']}, {told['sequences']:,} windows."
    if error is not None:
        text += f" The contributions add up to within {error:.1g}."
    sites = told.get("sites_named")
    if sites is not None:
        listed = ", ".join(f"{name} ({count})" for name, count in sites.items())
        text += (
            f" Sites that carry the attribution in the {told.get('drawn', _TRACKS)} windows drawn: "
            f"{listed or 'none fits a known motif'}."
        )
    return text


def draw_positions(means: pd.DataFrame, n: int, label: str) -> Figure:
    """Mean attribution at each position of the window, with the middle half of the sequences."""
    made, (ax,) = figure(7.0, 2.6)
    x = means["position"]
    ax.fill_between(
        x, means["lower_quartile"], means["upper_quartile"], color=SKY, alpha=0.35, linewidth=0,
        label="middle half of the sequences",
    )  # fmt: skip
    ax.plot(x, means["mean"], color=BLUE, linewidth=1.3, label=f"mean of {n:,} sequences")
    ax.axhline(0, color="0.5", linewidth=0.6)
    finish(ax, "position in the window (bp)", label, "Attribution by position")
    ax.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2, ncols=2, frameon=False,
        fontsize=8,
    )  # fmt: skip
    return made


def draw_tracks(
    codes: Codes,
    strength: Floats,
    titles: Sequence[str],
    *,
    named: pd.DataFrame | None = None,
    label: str = "contribution",
) -> Figure:
    """Attribution of a few sequences as letters whose height is the contribution.

    ``named``, from `name_sites`, are stretches to shade, with their name and fit.
    """
    length = codes.shape[1]
    n = len(codes)
    made, axes = figure(min(max(length / 16, 6), 24), 1.5 + 0.5 / n, rows=n)
    for row, ax in enumerate(axes):
        letters = np.zeros((length, 4))
        known = np.flatnonzero(codes[row] < N)
        letters[known, codes[row, known]] = strength[row, known]
        draw_letters(ax, letters, COLOURS, first=0)
        mine = [] if named is None else list(named[named["sequence"] == row].itertuples())
        for site in mine:
            ax.axvspan(site.start - 0.5, site.end - 0.5, color=SKY, alpha=0.18, linewidth=0)
            ax.annotate(
                f"{site.name} {site.fit:.2f}", ((site.start + site.end - 1) / 2, 1),
                xycoords=("data", "axes fraction"), fontsize=7, ha="center", va="top",
                color="#0B5A8A",
            )  # fmt: skip
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + (0.16 * (high - low) if mine else 0))
        ax.set_title(titles[row], fontsize=8, loc="left", pad=3)
        ax.set_ylabel(label, fontsize=7)
        ax.tick_params(labelsize=7)
        ax.set_xticks(range(0, length, 10 if length <= 250 else 50))
    says = "position in the window (bp)"
    if named is not None:
        says += "; shaded: sites of known motifs, with the correlation of contributions and logo"
    axes[-1].set_xlabel(says, fontsize=8)
    return made


def draw_mutations(codes: Codes, changes: Floats, title: str) -> Figure:
    """Change of the output by every substitution of one sequence, a ``(4, length)`` map."""
    length = len(codes)
    made, axes = figure(min(max(length / 16, 6), 24), 2.0)
    limit = float(np.abs(changes).max()) or 1.0
    image = axes[0].imshow(
        changes, aspect="auto", cmap=DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest"
    )
    known = np.flatnonzero(codes < N)
    axes[0].scatter(known, codes[known], s=3, color="black", linewidth=0)
    axes[0].set_yticks(range(4), list("ACGT"))
    axes[0].set_title(title, fontsize=8, loc="left")
    axes[0].set_xlabel("position in the window (bp); dots: the sequence", fontsize=8)
    axes[0].tick_params(labelsize=7)
    made.colorbar(image, ax=axes[0], label="change", pad=0.01)
    return made


STEP = Step(
    title="Attribution",
    run=_run,
    words=_words,
    panels=(
        Panel(
            "attribution", "Contribution of each base, in the windows of the highest scores.", True
        ),
        Panel("positions", "Mean contribution at each position, over all attributed windows."),
        Panel("mutations", "Change of the output by every substitution.", True),
    ),
)
