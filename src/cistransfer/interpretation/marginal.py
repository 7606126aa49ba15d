"""Marginal effects: what planting a motif, or two at a distance, does to a prediction."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from cistransfer.errors import InputError, nearest
from cistransfer.figures import BLUE, ORANGE, figure, finish, legend
from cistransfer.genome.codes import N, reverse_complement
from cistransfer.genome.shuffle import dinucleotide_shuffle
from cistransfer.interpretation.steps import Methods, Panel, Step
from cistransfer.models.score import score_codes
from cistransfer.motifs.files import read_motifs
from cistransfer.motifs.pwm import PWM
from cistransfer.tables import write_tsv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cistransfer.interpretation.subject import Subject

__all__ = [
    "SPACING",
    "STEP",
    "best_site",
    "draw_marginal",
    "draw_spacing",
    "marginal_effects",
    "neutral_sequences",
    "spacing_effects",
]

Codes = NDArray[np.uint8]

_BATCH = 8192  # sequences scored at a time, by as many cores as there are
_NEUTRAL = 40  # neutral sequences into which motifs are planted


def best_site(pwm: PWM) -> Codes:
    """The motif's most probable site as codes, (width,)."""
    return np.asarray(pwm.probabilities.argmax(axis=1), np.uint8)


def neutral_sequences(codes: Codes, n: int = 100, *, seed: int = 0) -> Codes:
    """Sequences without the motifs of real ones: dinucleotide shuffles of a sample of them."""
    clean = codes[(codes < N).all(axis=1)]
    if not len(clean):
        raise InputError("expected at least one sequence without N to shuffle, found none")
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(clean), size=n, replace=n > len(clean))
    return dinucleotide_shuffle(clean[rows], 1, seed=seed)[:, 0]


def marginal_effects(
    model: nn.Module, background: Codes, motifs: Sequence[PWM], *, task: int = 0
) -> pd.DataFrame:
    """Change of a task's logit by each motif's best site in the middle of neutral sequences.

    Parameters
    ----------
    background : ndarray of uint8, shape (n, length)
        From `neutral_sequences`.

    Returns
    -------
    DataFrame
        One row per motif: ``motif``, ``name``, ``site``, ``effect`` (mean change of the logit, the
        motif on either strand in turn), ``sd`` (over sequences), ``n``.
    """
    from cistransfer.genome.codes import decode

    before = score_codes(model, background, strands="both")[:, task]
    sites = {best_site(pwm).tobytes(): pwm for pwm in motifs}  # many motifs share their best site
    changes = dict(
        zip(sites, _changes(model, background, list(sites.values()), task, before), strict=True)
    )
    rows = []
    for pwm in motifs:
        change, site = changes[best_site(pwm).tobytes()], decode(best_site(pwm))
        rows.append((pwm.name, pwm.alt_name, site, change.mean(), change.std(), len(background)))
    return pd.DataFrame(rows, columns=["motif", "name", "site", "effect", "sd", "n"])


def _changes(
    model: nn.Module, background: Codes, motifs: Sequence[PWM], task: int, before: NDArray[Any]
) -> Iterator[NDArray[Any]]:
    """Changes of the logit, (n,), of each motif's best site; several motifs to a batch."""
    several = max(_BATCH // (2 * len(background)), 1)
    for at in range(0, len(motifs), several):
        planted = []
        for pwm in motifs[at : at + several]:
            site = best_site(pwm)
            start = _middle(background.shape[1], len(site), pwm.name)
            for turned in (site, reverse_complement(site)):
                changed = background.copy()
                changed[:, start : start + len(site)] = turned
                planted.append(changed)
        scores = score_codes(model, np.concatenate(planted), strands="both")[:, task]
        yield from np.mean(scores.reshape(-1, 2, len(background)) - before, axis=1)


def spacing_effects(
    model: nn.Module,
    background: Codes,
    first: PWM,
    second: PWM,
    *,
    task: int = 0,
    max_gap: int = 40,
) -> pd.DataFrame:
    """What a second motif adds to a first one, at every distance, side and orientation.

    The first motif stands in the middle of neutral sequences. ``interaction`` is the change by
    both minus the changes by each alone at the same places: 0 when the model only adds them up.

    Parameters
    ----------
    max_gap : int
        Largest gap, bp between the end of one site and the start of the other.

    Returns
    -------
    DataFrame
        ``gap``, ``side`` (after or before the first motif, in its direction), ``orientation`` (of
        the second relative to the first: same or opposite), ``effect`` (change of the logit by
        both), ``alone`` (sum of the changes by each), ``interaction``.
    """
    a, b = best_site(first), best_site(second)
    length = background.shape[1]
    at = _middle(length, len(a), first.name)
    plain = score_codes(model, background, strands="both")[:, task].mean()
    with_first = background.copy()
    with_first[:, at : at + len(a)] = a
    effect_a = score_codes(model, with_first, strands="both")[:, task].mean() - plain
    rows = []
    for orientation, site in (("same", b), ("opposite", reverse_complement(b))):
        for side in ("after", "before"):
            for gap in range(max_gap + 1):
                start = at + len(a) + gap if side == "after" else at - gap - len(b)
                if start < 0 or start + len(b) > length:
                    continue
                scores = []
                for base in (background, with_first):
                    changed = base.copy()
                    changed[:, start : start + len(b)] = site
                    scores.append(score_codes(model, changed, strands="both")[:, task].mean())
                alone = effect_a + scores[0] - plain
                effect = scores[1] - plain
                rows.append((gap, side, orientation, effect, alone, effect - alone))
    if not rows:
        raise InputError(
            f"motifs {first.name} and {second.name} do not fit side by side in {length} bp"
        )
    columns = ["gap", "side", "orientation", "effect", "alone", "interaction"]
    return pd.DataFrame(rows, columns=columns)


def _middle(length: int, width: int, name: str) -> int:
    if width > length:
        raise InputError(f"motif {name!r} is {width} bp wide; the sequences are {length} bp long")
    return (length - width) // 2


def _background(subject: Subject) -> NDArray[np.uint8]:
    rows = subject.sample(np.arange(len(subject.material.codes)), 1_000)
    return neutral_sequences(np.asarray(subject.material.codes[rows]), _NEUTRAL, seed=subject.seed)


def _run_marginal(subject: Subject) -> dict[str, Any]:
    """Write ``marginal.tsv`` and its figure."""
    usable = [pwm for pwm in subject.motifs if pwm.width <= subject.bundle.window]
    table = marginal_effects(subject.bundle.model, _background(subject), usable, task=subject.task)
    table = table.sort_values("effect", ascending=False, ignore_index=True)
    write_tsv(subject.out / "marginal.tsv", table)
    subject.draw(draw_marginal(table, own=subject.own_motifs), "marginal", table)
    return {
        "motifs": len(table),
        "top": [
            {"motif": row.name or row.motif, "effect": float(row.effect)}
            for row in table.head(5).itertuples(index=False)
        ],
    }


def _named(name: str, motifs: Sequence[PWM]) -> PWM:
    for pwm in motifs:
        if name.upper() in (pwm.name.upper(), pwm.alt_name.upper()):
            return pwm
    known = {pwm.label for pwm in motifs}
    raise InputError(f"no motif {name!r} among the known ones; {nearest(name, known)}")


def _check_pair(methods: Methods) -> None:
    if methods.pair is not None and methods.motifs is not None:
        motifs = read_motifs(methods.motifs)
        for name in methods.pair:
            _named(name, motifs)


def _run_spacing(subject: Subject) -> dict[str, Any]:
    """Write ``spacing.tsv`` and its figure."""
    assert subject.methods.pair is not None
    chosen = [_named(name, subject.motifs) for name in subject.methods.pair]
    table = spacing_effects(
        subject.bundle.model, _background(subject), chosen[0], chosen[1], task=subject.task
    )
    write_tsv(subject.out / "spacing.tsv", table)
    names = [pwm.label for pwm in chosen]
    subject.draw(draw_spacing(table, *names), "spacing", table)
    best = table.loc[table["interaction"].idxmax()]
    return {
        "pair": names,
        "largest_interaction": float(best["interaction"]),
        "at": {key: best[key] for key in ("side", "orientation")} | {"gap": int(best["gap"])},
    }


def draw_marginal(
    table: pd.DataFrame, *, own: Collection[str] = (), max_motifs: int = 30
) -> Figure:
    """Effect of planting each motif, the ``max_motifs`` largest in size, with standard errors.

    ``own``, names of the task's own motifs, are set in bold.
    """
    some = table.reindex(table["effect"].abs().nlargest(max_motifs).index).sort_values("effect")
    made, (ax,) = figure(5.4, max(0.22 * len(some), 1.6) + 1.0)
    colour = [ORANGE if value > 0 else BLUE for value in some["effect"]]
    error = some["sd"] / np.sqrt(some["n"])
    ax.barh(
        np.arange(len(some)), some["effect"], xerr=error, color=colour, height=0.7, ecolor="0.3"
    )
    names = [name or motif for name, motif in zip(some["name"], some["motif"], strict=True)]
    ax.set_yticks(np.arange(len(some)), names, fontsize=7.5)
    for label, motif in zip(ax.get_yticklabels(), some["motif"], strict=True):
        label.set_fontweight("bold" if motif in set(own) else "normal")
    ax.set_ylim(-0.7, len(some) - 0.3)
    ax.axvline(0, color="0.3", linewidth=0.7)
    which = f"{len(some)} largest effects of {len(table):,} motifs"
    n = int(table["n"].max()) if len(table) else 0
    finish(
        ax, "change of the logit by one site (mean ± s.e.)", "",
        f"One site planted into {n} neutral sequences:\n{which}"
        + ("; bold: its own" if some["motif"].isin(set(own)).any() else ""),
    )  # fmt: skip
    return made


def draw_spacing(table: pd.DataFrame, first: str, second: str) -> Figure:
    """What the second motif adds to the first one at every distance, side and orientation."""
    made, (ax,) = figure(7.0, 3.9)
    styles = {"same": "-", "opposite": "--"}
    colours = {"after": ORANGE, "before": BLUE}
    curves = {
        (str(side), str(orientation)): rows.set_index("gap")["interaction"]
        for (side, orientation), rows in table.groupby(["side", "orientation"], sort=False)
    }
    near = 1e-3 * float(np.ptp(table["interaction"]))
    drawn: list[tuple[list[str], str, str, pd.Series]] = []
    for (side, orientation), curve in curves.items():
        for names, _, _, other in drawn:  # of a palindrome: one curve would hide the other
            if len(curve) == len(other) and (curve - other).abs().max() <= near:
                names.append(f"{side} {first}, {orientation} orientation")
                break
        else:
            name = f"{side} {first}, {orientation} orientation"
            drawn.append(([name], colours[side], styles[orientation], curve))
    for names, colour, style, curve in drawn:
        label = names[0] + "".join(f"\n= {name}" for name in names[1:])
        ax.plot(curve.index, curve, style, color=colour, linewidth=1.6, label=label)
    ax.axhline(0, color="0.4", linewidth=0.7)
    legend(ax, title=f"{second} lies", title_fontsize=8.5)
    finish(
        ax,
        "gap between the two sites (bp)",
        "interaction (logit)",
        f"What {first} and {second} do together, less the sum of each alone\n"
        "(above 0: more than the sum)",
    )
    return made


def _marginal_words(told: Mapping[str, Any]) -> str:
    named = [f"{row['motif']} ({row['effect']:+.2f})" for row in told["top"]]
    return f"Largest effects on the logit: {', '.join(named)}."


def _spacing_words(told: Mapping[str, Any]) -> str:
    best = told["at"]
    return (
        f"{told['pair'][0]} and {told['pair'][1]}: the largest interaction is "
        f"{told['largest_interaction']:.2f}, {best['gap']} bp {best['side']}, "
        f"{best['orientation']} orientation."
    )


STEP = Step(
    title="Effect of single motifs",
    run=_run_marginal,
    words=_marginal_words,
    panels=(Panel("marginal", "What one site, planted into neutral sequence, changes."),),
    needs=("motifs",),
)

SPACING = Step(
    title="Two motifs at a distance",
    run=_run_spacing,
    words=_spacing_words,
    panels=(Panel("spacing", "What a second motif adds, at every distance."),),
    needs=("pair", "motifs"),
    check=_check_pair,
)
