"""Steps that look at sequences: attribution, patterns, enrichment."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.figures import BOTH, save
from cistransfer.interpretation import figures, site_figures
from cistransfer.interpretation.attribute import Attribution
from cistransfer.interpretation.enrichment import motif_enrichment, site_scores
from cistransfer.interpretation.patterns import find_patterns, modisco_patterns
from cistransfer.interpretation.shared import Run
from cistransfer.interpretation.sites import motif_sites, read_sites
from cistransfer.motifs.files import write_meme
from cistransfer.motifs.hits import find_hits
from cistransfer.storage import whole_file
from cistransfer.tables import write_tsv

__all__ = ["sites_of", "write_attribution", "write_enrichment", "write_patterns"]


_SHOWN_SHARE = 0.08  # of a sequence's positive contributions, for a site to be named in its track


def _strength(attribution: Attribution) -> NDArray[np.float32]:
    """Contributions whose sign is positive where a base speaks for the task."""
    sign = -1 if attribution.method == "mutagenesis" else 1
    return sign * attribution.contributions


def write_attribution(
    run: Run, rows: NDArray[np.int64], attribution: Attribution
) -> dict[str, Any]:
    codes = np.asarray(run.material.codes[rows])
    with whole_file(run.out / "attribution.npz") as temporary:
        arrays = {"codes": codes, "contributions": attribution.contributions}
        if attribution.hypothetical is not None:
            arrays["hypothetical"] = attribution.hypothetical.astype(np.float16)
        with open(temporary, "wb") as handle:
            np.savez_compressed(handle, **arrays)  # type: ignore[arg-type]
    table = pd.DataFrame(
        {
            "sequence": [run.material.names[row] for row in rows],
            "logit": run.logits[rows, run.task],
            "sum_of_contributions": attribution.contributions.sum(axis=1),
        }
    )
    if attribution.error is not None:
        table["completeness_error"] = attribution.error
    write_tsv(run.out / "attribution.tsv", table)
    shown = np.argsort(-run.logits[rows, run.task], kind="stable")[:6]
    contributions = _strength(attribution)[shown]
    spans = _spans(run, codes[shown], contributions) if run.targets else None
    titles = [
        f"{run.material.names[rows[at]]}  logit {run.logits[rows[at], run.task]:.2f}"
        for at in shown
    ]
    label = "−change" if attribution.method == "mutagenesis" else "contribution"
    save(
        figures.draw_tracks(codes[shown], contributions, titles, spans=spans, label=label),
        run.out / "attribution",
        BOTH,
    )
    if attribution.method == "mutagenesis" and attribution.hypothetical is not None:
        drawn = figures.draw_mutations(
            codes[shown[0]], attribution.hypothetical[shown[0]], titles[0]
        )
        save(drawn, run.out / "mutations", BOTH)
    summary: dict[str, Any] = {
        "method": attribution.method,
        "on": attribution.on,
        "sequences": len(rows),
    }
    if attribution.error is not None:
        summary["largest_completeness_error"] = float(attribution.error.max())
    return summary


def _spans(
    run: Run, codes: NDArray[np.uint8], contributions: NDArray[np.float32]
) -> list[list[tuple[int, int, str]]]:
    """In each sequence the best-scoring motif hits over the most attributed stretches."""
    sites = find_hits(codes, run.targets, p_value=1e-4)
    spans: list[list[tuple[int, int, str]]] = [[] for _ in codes]
    if not len(sites):
        return spans
    total = np.array(
        [
            contributions[sequence, start:end].sum()
            for sequence, start, end in sites[["sequence", "start", "end"]].itertuples(index=False)
        ]
    )
    alternative = np.array([pwm.alt_name or pwm.name for pwm in run.targets])
    for at in np.argsort(-total, kind="stable"):
        site = sites.iloc[at]
        mine = spans[site["sequence"]]
        free = all(site["end"] <= start or site["start"] >= end for start, end, _ in mine)
        speaks = total[at] > _SHOWN_SHARE * np.maximum(contributions[site["sequence"]], 0).sum()
        if speaks and free and len(mine) < 3:
            name = str(alternative[int(site["pwm"])])
            mine.append((int(site["start"]), int(site["end"]), name))
    return spans


def write_patterns(
    run: Run, rows: NDArray[np.int64], attribution: Attribution, *, modisco: bool
) -> dict[str, Any]:
    codes = np.asarray(run.material.codes[rows])
    if modisco:
        if attribution.method != "deeplift" or attribution.hypothetical is None:
            raise InputError("TF-MoDISco reads DeepLIFT's hypothetical contributions: deeplift")
        found = modisco_patterns(codes, attribution.hypothetical, run.targets, seed=run.seed)
    else:
        found = find_patterns(codes, _strength(attribution), run.targets, seed=run.seed)
    seqlets = found.seqlets.assign(
        sequence=[run.material.names[rows[at]] for at in found.seqlets["sequence"]]
    )
    write_tsv(run.out / "patterns.tsv", found.table)
    write_tsv(run.out / "seqlets.tsv", seqlets)
    if found.pwms:
        write_meme(run.out / "patterns.meme", found.pwms)
        titles = [
            f"{row.match_name or row.match or row.pattern}: {row.seqlets} seqlets"
            for row in found.table.itertuples()
        ]
        save(figures.draw_logos(found.pwms, titles, columns=3), run.out / "patterns", BOTH)
    return {
        "note": found.note,
        "patterns": found.table[["match", "match_name", "seqlets"]].to_dict("records"),
    }


def sites_of(
    run: Run, rows: NDArray[np.int64], hits: str | os.PathLike[str] | None, hit_p: float
) -> tuple[pd.DataFrame, str]:
    """Motif sites in some of the sequences: a user's, or scanned; and words for the summary."""
    if hits is None:
        codes = np.asarray(run.material.codes[rows])
        return motif_sites(codes, run.targets, p_value=hit_p), f"hits at p ≤ {hit_p:g}"
    if run.material.regions is None:
        raise InputError("--hits needs sequences with places: --regions or --examples")
    return read_sites(hits, run.material.regions.iloc[rows], p_value=hit_p)


def write_enrichment(
    run: Run,
    rows: NDArray[np.int64],
    attribution: Attribution,
    hits: str | os.PathLike[str] | None,
    min_sites: int,
    hit_p: float,
) -> dict[str, Any]:
    """Write ``enrichment.tsv`` and its figures."""
    sites, where = sites_of(run, rows, hits, hit_p)
    strength = site_scores(_strength(attribution), sites)
    table = motif_enrichment(sites, strength, min_sites=min_sites)
    write_tsv(run.out / "enrichment.tsv", table)
    summary: dict[str, Any] = {
        "sites": len(sites),
        "from": where,
        "motifs_tested": len(table),
        "significant": int((table["q"] < 1e-3).sum()),
        "top": [str(name) for name in table["motif"][:5]],
    }
    if not len(table):
        most = int(sites["name"].value_counts().max()) if len(sites) else 0
        summary["note"] = (
            f"no motif has {min_sites} sites in {len(rows)} sequences (the most is {most}): "
            "use more sequences, a milder scan or fewer sites"
        )
        return summary
    save(site_figures.draw_enrichment({"": table}), run.out / "enrichment", BOTH)
    ends = [*table["motif"].head(3), *table["motif"].tail(2)]
    save(
        site_figures.draw_ecdfs(sites, {"": strength}, list(dict.fromkeys(ends))),
        run.out / "ecdf",
        BOTH,
    )
    return summary
