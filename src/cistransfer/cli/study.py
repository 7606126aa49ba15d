"""``cistransfer study``: experiments by name, whole or in part, on one machine or a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cistransfer.cli.groups import Device, Precision
from cistransfer.cli.verb import Done
from cistransfer.errors import InputError
from cistransfer.options import option

__all__ = ["collect", "figures", "list_studies", "models", "run", "show", "status"]


@dataclass(frozen=True)
class Which:
    """Study."""

    study: str = option(
        positional=True,
        path=lambda text: text.endswith(".toml"),
        help="Name of a study (see 'cistransfer study list'), or a TOML file.",
    )


@dataclass(frozen=True)
class Folder:
    """Study."""

    folder: Path = option(positional=True, help="Folder of a study.")


@dataclass(frozen=True)
class Folders:
    """Study."""

    folders: tuple[Path, ...] = option(positional=True, help="Folders of studies.")
    page: Path | None = option(
        None,
        metavar="FILE.md",
        help="Write the papers' claims with what was found beside them.",
    )


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        if not equals or not name or not rest:
            raise InputError(f"expected NAME=VALUE, found {text!r}")
        if name.strip() in found:
            raise InputError(f"{name.strip()!r} is named twice: {text}")
        found[name.strip()] = rest
    return found


@dataclass(frozen=True)
class Data:
    """Data."""

    out: Path = option(metavar="FOLDER", help="Folder of the study.")
    data: Path | None = option(None, help="Folder in which its files lie where the study says.")
    file: tuple[str, ...] = option(
        (), repeat=True, path=True, metavar="NAME=PATH", help="One file of the study (repeatable)."
    )


@dataclass(frozen=True)
class Part:
    """How much of it."""

    tfs: str | None = option(None, help="Comma list of TFs, or how many of the study's.")
    sizes: str | None = option(None, help="Comma list of training sizes.")
    draws: int | None = option(None, min=1, help="Draws of each.")
    axis: tuple[str, ...] = option(
        (), repeat=True, metavar="NAME=VALUES", help="Values of any other axis (repeatable)."
    )
    strategies: tuple[str, ...] = option((), help="Comma list of strategies [default: all].")
    budget: str | None = option(
        None, metavar="TIME", help="Begin no trial that would end after so long: 30m, 2h."
    )
    shard: str | None = option(
        None, metavar="I/N", help="Every N-th trial from the I-th, for arrays of jobs."
    )
    inputs_only: bool = option(False, help="Make trunks and example sets only (before an array).")
    again: str | None = option(None, choices=("failed",), help="failed: try these once more.")
    trial: str | None = option(
        None, metavar="NAME", help="Run one finished trial again elsewhere and compare its numbers."
    )

    def axes(self) -> dict[str, Any]:
        """Values of axes that are asked for."""
        found: dict[str, Any] = {}
        for axis, words in (("tf", self.tfs), ("size", self.sizes)):
            if words is not None:
                found[axis] = int(words) if axis == "tf" and words.isdecimal() else _list(words)
        if self.draws is not None:
            found["draw"] = self.draws
        for name, words in _pairs(self.axis).items():
            found[name] = _list(words)
        return found


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


@dataclass(frozen=True)
class Chosen:
    """Which."""

    strategies: tuple[str, ...] = option((), help="Comma list of strategies [default: all].")
    axis: tuple[str, ...] = option(
        (), repeat=True, metavar="NAME=VALUES", help="Values of an axis (repeatable)."
    )


@dataclass(frozen=True)
class Engines:
    """Computing."""

    engine: str = option(
        "local",
        choices=("local", "here", "ray"),
        help="local (processes of this machine), ray (a cluster), here (this process).",
    )
    jobs: int | None = option(
        None,
        min=1,
        needs=("engine=local",),
        help="Processes, one thread each [default: all cores].",
    )
    memory: str | None = option(
        None,
        needs=("engine=local",),
        metavar="SIZE",
        help="Memory for all of them, as 16G [default: nine tenths of what is free].",
    )
    address: str = option("auto", needs=("engine=ray",), help="Of the Ray cluster: HOST:PORT.")
    stack: int | None = option(
        None,
        min=1,
        help="Trainings of networks of one form that run as one network, at most [default: 32 on a "
        "GPU, 1 elsewhere].",
    )
    gpus: float = option(
        0.0, min=0, needs=("engine=ray",), help="GPUs for each trial; 0.25 lets four share one."
    )


def list_studies() -> Done:
    """List the studies that come with the package."""
    from cistransfer.studies.schema import catalogue

    known = catalogue()
    width = max(map(len, known))
    rows = [
        {"name": name, "title": each.title, "paper": each.paper} for name, each in known.items()
    ]
    lines = [f"{row['name']:{width}}  {row['title']}" for row in rows]
    return Done({"studies": rows}, lines)


def show(which: Which) -> Done:
    """Say what a study varies, compares, needs and claims."""
    from cistransfer.studies.schema import load_study

    study = load_study(which.study)
    content = study.model_dump(mode="json", exclude_defaults=True)
    lines = [f"{study.name}: {study.title}"]
    lines += [line for line in (study.paper, study.about.strip(), study.needs) if line]
    for name, given in study.files.items():
        where = f" [{given.path}]" if given.path else " [optional]" if given.optional else ""
        lines.append(f"needs {name}: {given.help}{where}")
    for name, axis in study.axes.items():
        lines.append(f"{name}: {', '.join(map(str, axis.values))}")
        for word, values in axis.named.items():
            lines.append(f"{name} {word}: {', '.join(map(str, values))}")
    run_always = [name for name, step in study.strategies.items() if not step.get("asked")]
    lines.append("strategies: " + ", ".join(run_always))
    if asked := [name for name, step in study.strategies.items() if step.get("asked")]:
        lines.append("strategies by --strategies only: " + ", ".join(asked))
    lines += [f"{claim.id}: {claim.says}" for claim in study.claims]
    return Done(content, lines)


def run(
    which: Which, data: Data, part: Part, engines: Engines, device: Device, precision: Precision
) -> Done:
    """Run a study, or what is missing of it.

    Repeating the command runs what is not there yet; 'cistransfer study collect FOLDER' writes the
    results.
    """
    from cistransfer.studies import run as running
    from cistransfer.studies.asked import Asked, bytes_of, duration, seconds_of

    asked = Asked(
        data=data.data,
        files=_pairs(data.file),
        axes=part.axes(),
        strategies=part.strategies,
        engine=engines.engine,
        jobs=engines.jobs,
        memory=None if engines.memory is None else bytes_of(engines.memory),
        address=engines.address,
        gpus=engines.gpus,
        stack=engines.stack,
        budget=None if part.budget is None else seconds_of(part.budget),
        shard=None if part.shard is None else _shard(part.shard),
        inputs_only=part.inputs_only,
        again=part.again is not None,
        device=device.device,
        precision=precision.precision,
    )
    if part.trial is not None:
        off, rows = running.run_again(which.study, data.out, part.trial, asked)
        words = ", ".join(f"{metric} by {gap:.2g}" for metric, gap in off.items())
        return Done(
            {"trial": part.trial, "same": not off, "differences": off, "measured": rows},
            [f"{part.trial}: {f'OTHER numbers: {words}' if off else 'the same numbers'}"],
        )
    found = running.run_study(which.study, data.out, asked)
    lines = [
        f"{found.ran:,} run, {found.there:,} there before, {found.failed:,} failed, "
        f"{found.waiting:,} not begun ({duration(found.seconds)})"
    ]
    if found.failed:
        lines.append(f"why: cistransfer study status {data.out}; once more: --again failed")
    return Done(
        {"folder": str(data.out), **vars(found)},
        [*lines, f"results: cistransfer study collect {data.out}"],
        written=[data.out],
    )


def _shard(text: str) -> tuple[int, int]:
    first, _, n = text.partition("/")
    if not (first.isdecimal() and n.isdecimal() and 1 <= int(first) <= int(n)):
        raise InputError(f"--shard: expected I/N with I from 1 to N, found {text!r}")
    return int(first), int(n)


def status(folder: Folder) -> Done:
    """Say how far a study is, and why trials failed."""
    from cistransfer.studies.store import Store

    store = Store(folder.folder)
    plan, content = store.plan(), store.read()
    names = plan.chain(plan.compared)
    finished = {name for name in names if store.has(name)}
    failed = store.failed(names)
    compared = set(plan.compared)
    lines = [
        f"{content['study']}: {len(finished & compared):,} of {len(compared):,} trials, "
        f"{len(finished - compared):,} of {len(set(names) - compared):,} inputs; "
        f"{len(failed):,} failed"
    ]
    for name, record in failed.items():
        lines.append(f"{name} {plan.label(name)}: {record['error'].splitlines()[-1]}")
    return Done(
        {
            "study": content["study"],
            "trials": len(compared),
            "finished": len(finished & compared),
            "inputs": len(set(names) - compared),
            "inputs_finished": len(finished - compared),
            "failed": [
                {"trial": name, "where": plan.label(name), **record}
                for name, record in failed.items()
            ],
            "rows": [
                {
                    "trial": row.trial,
                    "strategy": row.strategy,
                    **dict(row.point),
                    "finished": row.trial in finished,
                    "files": str(store.files(row.trial)) if row.trial in plan.kept else None,
                }
                for row in plan.rows
            ],
        },
        lines,
    )


def models(folder: Folder, chosen: Chosen) -> Done:
    """List the models that a study keeps: folder, a tab, what it is.

    Each is a run folder, for 'cistransfer evaluate', 'interpret' and every other verb.
    """
    from cistransfer.studies.store import Store

    store = Store(folder.folder)
    wanted = {name: _list(words) for name, words in _pairs(chosen.axis).items()}
    rows = store.models(chosen.strategies, wanted)
    return Done({"models": rows}, [f"{row['folder']}\t{row['label']}" for row in rows])


def collect(folders: Folders) -> Done:
    """Write the results of studies: results.parquet, results.tsv, summary, the papers' claims."""
    from cistransfer.studies.collect import collect as write
    from cistransfer.studies.page import reproduction

    tables = {str(folder): write(folder) for folder in folders.folders}
    lines = [
        f"{folder}: {table['trial'].nunique():,} trials, {len(table):,} numbers (results.parquet, "
        "results.tsv)"
        for folder, table in tables.items()
    ]
    if folders.page is not None:
        reproduction(folders.folders, folders.page)
        lines.append(f"written: {folders.page}")
    return Done(
        {
            "folders": [
                {"folder": folder, "trials": int(table["trial"].nunique()), "numbers": len(table)}
                for folder, table in tables.items()
            ],
            "page": str(folders.page) if folders.page else None,
        },
        lines,
    )


def figures(folder: Folder) -> Done:
    """Draw the figures of a study."""
    from cistransfer.studies.draw import write_figures

    written = [str(path) for path in write_figures(folder.folder)]
    return Done({"figures": written}, [f"written: {path}" for path in written])
