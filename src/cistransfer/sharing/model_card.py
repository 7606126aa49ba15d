"""A model card in Markdown, out of a bundle's own card and, where there is one, an evaluation.

The head is YAML as the Hugging Face hub reads it (``library_name``, ``tags``, ``model-index``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from cistransfer.errors import InputError
from cistransfer.evaluation.results import Evaluation, ModelScore, TaskScore
from cistransfer.evaluation.verdict import Against, judge
from cistransfer.metrics.table import METRICS
from cistransfer.models.bundle import Bundle, find_bundle
from cistransfer.models.registry import parameter_count

__all__ = ["CITATIONS", "default_title", "model_card"]

CITATIONS = (
    "Novakovsky G, Saraswat M, Fornes O, Mostafavi S, Wasserman WW. Biologically relevant transfer "
    "learning improves transcription factor binding prediction. Genome Biology 2021; 22: 280. "
    "https://doi.org/10.1186/s13059-021-02499-5",
    "Salvatore M, Horlacher M, Marsico A, Winther O, Andersson R. Transfer learning identifies "
    "sequence determinants of cell-type specific regulatory element accessibility. NAR Genomics "
    "and Bioinformatics 2023; 5: lqad026. https://doi.org/10.1093/nargab/lqad026",
    "Rauluseviciute I, Riudavets-Puig R, Blanc-Mathieu R, et al. JASPAR 2024: 20th anniversary of "
    "the open-access database of transcription factor binding profiles. Nucleic Acids Research "
    "2024; 52: D174–D182. https://doi.org/10.1093/nar/gkad1059",
)
"""Whose work a model made here stands on."""

_TASKS = 20  # rows of a table; the rest is counted


def model_card(
    bundles: Mapping[str, Bundle],
    *,
    title: str,
    evaluation: Evaluation | None = None,
    predictions: pd.DataFrame | None = None,
    license: str | None = None,
    place: str = "PACKED.zip",
) -> str:
    """Write the card of one model or of an ensemble.

    Parameters
    ----------
    bundles : mapping of str to Bundle
        By name.
    title : str
    evaluation : Evaluation, optional
        Of these models, with whatever baselines it has: held-out numbers come from it alone.
    predictions : DataFrame, optional
        Its predictions (`cistransfer.evaluation.runs.open_predictions`): without them nothing is
        said of which baselines the model beats.
    license : str, optional
        As the author names it (an SPDX identifier, ``cc-by-4.0``).
    place : str
        What is opened: the packed file, or ``hf:owner/name``.

    Returns
    -------
    str
        Markdown with YAML in front.

    Raises
    ------
    InputError
        When the evaluation is of other models.
    """
    scored = {} if evaluation is None else _rows_of(evaluation, bundles)
    first = next(iter(bundles.values()))
    parts = [
        _head(bundles, title, evaluation, scored, license),
        f"# {title}",
        _what(bundles),
        "## Data\n\n" + _data(bundles),
        "## How good it is\n\n" + _numbers(bundles, evaluation, predictions, scored),
        "## Limits\n\n" + _limits(first, scored),
        "## Use\n\n" + _use(first, place),
        "## Licence\n\n"
        + (
            f"{license}, said by whoever packed it. "
            if license
            else "Not stated by whoever packed it: ask before you use it or hand it on. "
        )
        + "The data it learned from have licences of their own.",
        "## Cite\n\n" + "\n".join(f"* {each}" for each in CITATIONS),
    ]
    return "\n\n".join(parts) + "\n"


def _rows_of(evaluation: Evaluation, bundles: Mapping[str, Bundle]) -> dict[str, ModelScore]:
    """Row of each bundle in an evaluation, by the bundle's name."""
    places = {name: bundle.path.resolve() for name, bundle in bundles.items()}
    found: dict[str, ModelScore] = {}
    for row in evaluation.models:
        if not row.run:
            continue
        try:
            place = find_bundle(row.run).resolve()
        except InputError:  # it has been moved; another row may be the one
            continue
        found |= {name: row for name, own in places.items() if own == place}
    missing = [name for name in bundles if name not in found]
    if missing:
        rows = ", ".join(f"{row.name} ({row.run})" for row in evaluation.models if row.run)
        raise InputError(
            f"the evaluation has no row of {bundles[missing[0]].path}; it has: "
            + (rows or "baselines alone")
        )
    return found


def _head(
    bundles: Mapping[str, Bundle],
    title: str,
    evaluation: Evaluation | None,
    scored: Mapping[str, ModelScore],
    license: str | None,
) -> str:
    """YAML, every value as JSON (which YAML reads)."""
    tasks = list(dict.fromkeys(task for bundle in bundles.values() for task in bundle.tasks))
    tags = ["biology", "genomics", "dna", "transcription-factor-binding", *tasks[:_TASKS]]
    lines = ["---", 'library_name: "cistransfer"']
    if license:
        lines.append(f"license: {json.dumps(license.lower())}")
    lines.append("tags:")
    lines += [f"- {json.dumps(tag, ensure_ascii=False)}" for tag in tags]
    results = [
        {
            "task": {"type": "tabular-classification", "name": f"binding of {task}"},
            "dataset": {
                "name": f"held-out regions ({evaluation.part})",
                "type": evaluation.examples,
            },
            "metrics": [
                {"type": name, "name": f"{METRICS[name].heading}, {model}", "value": score[name]}
                for name in METRICS
                if METRICS[name].shown == "summary" and score.values.get(name) is not None
            ],
        }
        for model, row in scored.items()
        for task, score in list(row.tasks.items())[:_TASKS]
        if evaluation is not None and not score.why
    ]
    if results:
        index = [{"name": title, "results": results}]
        lines.append("model-index: " + json.dumps(index, ensure_ascii=False))
    return "\n".join([*lines, "---"])


def _what(bundles: Mapping[str, Bundle]) -> str:
    first = next(iter(bundles.values()))
    card = first.card
    tasks = ", ".join(first.tasks[:_TASKS]) + ", …" * (len(first.tasks) > _TASKS)
    outputs = f"{len(first.tasks)} outputs ({tasks})" if len(first.tasks) > 1 else tasks
    beside = ""
    if card.motifs is not None:
        names = list(dict.fromkeys(motif.name for motif in card.motifs.known if motif.name))
        some = ", ".join(names[:5]) + ", …" * (len(names) > 5)
        beside = f", with {len(card.motifs.known)} motifs beside it" + f" ({some})" * bool(names)
    several = (
        f" {len(bundles)} models ({', '.join(bundles)}) are an ensemble: the mean of their "
        "probabilities counts, and their spread says how far they agree."
        if len(bundles) > 1
        else ""
    )
    return (
        f"Reads {first.window} bp of DNA and gives the probability that {outputs} "
        f"{'are' if len(first.tasks) > 1 else 'is'} bound or open there. Network "
        f"`{card.architecture.name}`, {parameter_count(first.model):,} parameters{beside}."
        f"{several} Made with cistransfer {card.versions.get('cistransfer', '')}, strategy "
        f"`{card.strategy.name or 'unknown'}`."
    )


def _data(bundles: Mapping[str, Bundle]) -> str:
    lines = []
    for name, bundle in bundles.items():
        card = bundle.card
        said = [f"assembly {card.assembly}" if card.assembly else "assembly not recorded"]
        for part, counts in card.counts.items() if isinstance(card.counts, Mapping) else ():
            if isinstance(counts, Mapping):
                each = [row for row in counts.values() if isinstance(row, Mapping)]
                bound = sum(int(row.get("bound", 0)) for row in each)
                unbound = sum(int(row.get("unbound", 0)) for row in each)
                said.append(f"{part}: {bound:,} bound, {unbound:,} unbound")
        if card.split:
            said.append("split by " + _split(card.split))
        if card.trunk is not None:
            trunk = ", ".join(card.trunk.tasks[:5]) + ", …" * (len(card.trunk.tasks) > 5)
            said.append(f"started from a trunk of {len(card.trunk.tasks)} TFs ({trunk})")
        regions = bundle.regions()
        said.append(
            f"it carries the {len(regions):,} regions that it or its trunk was trained or "
            "validated on" + ("" if len(regions) else " (none are known)")
        )
        lines.append(f"* {name}: " + "; ".join(said) + ".")
    return "\n".join(lines)


def _split(split: Mapping[str, Any]) -> str:
    parts = [str(split.get("by", "?"))]
    for part in ("valid", "test"):
        if chroms := split.get(part):
            named = chroms if isinstance(chroms, list) else [chroms]
            parts.append(f"{part} {', '.join(map(str, named))}")
    return ", ".join(parts)


def _numbers(
    bundles: Mapping[str, Bundle],
    evaluation: Evaluation | None,
    predictions: pd.DataFrame | None,
    scored: Mapping[str, ModelScore],
) -> str:
    if evaluation is None:
        return (
            "No held-out numbers came with it. On its validation part, on which it was also "
            "chosen (so these flatter it):\n\n" + _validation(bundles)
        )
    shown = [name for name in METRICS if METRICS[name].shown == "summary"]
    baselines = [row for row in evaluation.models if not row.run]
    rows = [*scored.items(), *((row.name, row) for row in baselines)]
    lines = [
        f"On the {evaluation.part} part of its examples, which it has not seen"
        + ("" if all(not row.seen for row in scored.values()) else " (but see Limits)")
        + "; 95 % intervals from resampling regions.",
        "",
        "| model | task | regions | bound | "
        + " | ".join(METRICS[name].heading for name in shown)
        + " | AUCPR of the model less this |",
        "|" + "---|" * (5 + len(shown)),
    ]
    tasks = list(evaluation.tasks)[:_TASKS]
    for task in tasks:
        against = _against(evaluation, predictions, scored, task) if baselines else {}
        for name, row in rows:
            if task not in row.tasks:
                continue
            score = row.tasks[task]
            values = " | ".join(score.why or _worded(score, each) for each in shown)
            verdict = "" if row.run else _verdict(against.get(name))
            lines.append(
                f"| {name} | {task} | {score.n:,} | {score.positives:,} | {values} | {verdict} |"
            )
    if len(evaluation.tasks) > len(tasks):
        lines.append(f"\n{len(evaluation.tasks) - len(tasks)} more tasks are not shown.")
    if not baselines:
        lines.append("\nIt was compared with no baseline.")
    elif predictions is None:
        lines.append(
            "\nScores of single regions did not come with these numbers, so which is better is "
            "not said."
        )
    return "\n".join(lines)


def _worded(score: TaskScore, name: str) -> str:
    value, ends = score.values.get(name), score.interval(name)
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" ({ends[0]:.3f}–{ends[1]:.3f})" if ends else "")


def _against(
    evaluation: Evaluation,
    predictions: pd.DataFrame | None,
    scored: Mapping[str, ModelScore],
    task: str,
) -> dict[str, Against]:
    """The one model against each other row, as the report judges it; of several, nothing."""
    own = [row for row in scored.values() if task in row.tasks]
    if predictions is None or len(own) != 1 or own[0].tasks[task].why:
        return {}
    found = judge(evaluation, predictions, task, own[0].name)
    return {each.name: each for each in found.against}


def _verdict(against: Against | None) -> str:
    if against is None:
        return "–"
    gap = "{:+.3f} ({:+.3f} to {:+.3f})".format(*against.difference)
    words = {
        "better": "beaten",
        "undecided": "cannot be told apart",
        "worse": "**better than the model**",
    }
    return f"{gap}: {words[against.word]}"


def _validation(bundles: Mapping[str, Bundle]) -> str:
    lines = ["| model | task | AUCPR | AUROC |", "|---|---|---|---|"]
    for name, bundle in bundles.items():
        held = bundle.card.validation
        for column, task in enumerate(bundle.tasks[:_TASKS]):
            values = [held[metric][column] if metric in held else None for metric in _RANKED]
            said = " | ".join("–" if value is None else f"{value:.3f}" for value in values)
            lines.append(f"| {name} | {task} | {said} |")
        if len(bundle.tasks) > _TASKS:
            lines.append(f"| {name} | {len(bundle.tasks) - _TASKS} more | | |")
    return "\n".join(lines)


_RANKED = ("aucpr", "auroc")


def _limits(first: Bundle, scored: Mapping[str, ModelScore]) -> str:
    said = [
        "It has seen sequence and nothing else: whether a place is open in a cell is not known to "
        "it. Use it on open regions.",
        "Probabilities are calibrated on the shares of bound and unbound regions of its validation "
        "part; where bound regions are rarer, ranks hold and probabilities are too high.",
        f"Sequences are read {first.window} bp wide; an N counts as no base.",
    ]
    if first.card.assembly:
        said.append(f"It was trained on {first.card.assembly}; other species are untested.")
    for name, row in scored.items():
        if row.seen:
            said.append(f"{name} or its trunk has seen {row.seen:,} of the evaluated regions.")
        if row.neighbours:
            said.append(
                f"{row.neighbours:,} of the evaluated regions overlap training regions of {name}."
            )
        for task, score in row.tasks.items():
            if not score.why and not score.beats_chance:
                said.append(f"{name} is at chance for {task}.")
    return "\n".join(f"* {each}" for each in said)


def _use(first: Bundle, place: str) -> str:
    task = first.tasks[0]
    own = ".py:" in first.card.architecture.name
    lines = [
        "```bash",
        "pip install " + ("'cistransfer[hub]'" if place.startswith("hf:") else "cistransfer"),
        f"cistransfer predict {place} --regions regions.bed --genome genome.fa --out scores.tsv",
        "```",
        "",
        "```python",
        "import cistransfer as ct",
        f'table = ct.predict("{place}", "regions.bed", "genome.fa")',
        f"table[{task!r}]  # probability",
        "```",
        "",
        "Opening it runs no code.",
    ]
    if own:
        lines.append(
            f"Its network is the class in `{first.card.architecture.name}`, which is not part of "
            f"it (`--architecture`; sha256 {first.card.architecture.sha256})."
        )
    return "\n".join(lines)


def default_title(bundles: Mapping[str, Bundle]) -> str:
    """What a model is called when nobody names it: its tasks."""
    tasks = list(dict.fromkeys(task for bundle in bundles.values() for task in bundle.tasks))
    return ", ".join(tasks[:3]) + (f" and {len(tasks) - 3} more" if len(tasks) > 3 else "")
