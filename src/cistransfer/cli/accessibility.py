"""``cistransfer accessibility``: example sets of open chromatin, and the study of transfer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cistransfer import cpus
from cistransfer.cli.command import AsJson, finish, record
from cistransfer.cli.options import (
    Device,
    Fold,
    Precision,
    Seed,
    SplitBy,
    TestChroms,
    ValidChroms,
    comma_list,
    requested_split,
)
from cistransfer.errors import InputError
from cistransfer.studies.settings import QUICK, Settings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["accessibility_app", "register"]

DEFAULTS = Settings()

accessibility_app = typer.Typer(
    help="Chromatin accessibility by transfer: example sets of cells, the comparison.",
    no_args_is_help=True,
)


def _file(text: str) -> Any:
    return typer.Option(metavar="PATH", help=text)


@accessibility_app.command("sets")
def sets(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="SETS", help="Folder to write.")],
    genome: Annotated[
        Path, _file("Genome FASTA, or FASTA file or folder of windows, of the regions.")
    ],
    cells: Annotated[
        str, typer.Option(help="Comma list of cells to make models for [with --lists: all].")
    ] = "",
    matrix: Annotated[Path | None, _file("Open regions of a binding matrix (M.h5).")] = None,
    dhs: Annotated[Path | None, _file("Or UCSC's clustered DHS table.")] = None,
    dhs_sources: Annotated[Path | None, _file("Its sources table.")] = None,
    ucsc2encode: Annotated[Path | None, _file("UCSC source name to ENCODE term (TSV).")] = None,
    samples: Annotated[Path | None, _file("Sample sheet: names of the cells.")] = None,
    open_sheet: Annotated[
        Path | None,
        typer.Option("--open", metavar="PATH", help="Or a sheet (TSV: cell, file) of BED files."),
    ] = None,
    regions: Annotated[
        Path | None, _file("Regions (BED) of --open, --open-table or --signals.")
    ] = None,
    open_table: Annotated[Path | None, _file("Or a table of regions x cells, 0/1.")] = None,
    open_above: Annotated[float, typer.Option(help="Open where --open-table is above this.")] = 0.0,
    signals: Annotated[
        Path | None, _file("Or a table of regions x replicates (CELL or CELL.1, CELL.2).")
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="Open where the Z-score of log10 is above this, in any replicate.")
    ] = 1.64,
    replicates: Annotated[
        Path | None, _file("Columns of --signals and their cells (TSV: column, cell).")
    ] = None,
    lists: Annotated[
        Path | None, _file("Or ChromTransfer's lists (chrom:start-end,label): folder or file.")
    ] = None,
    window: Annotated[int, typer.Option(min=1, help="Window in bp.")] = 600,
    background: Annotated[
        str,
        typer.Option(
            help="Of pre-training: tiles (far from open regions; published), shuffled, or "
            "tiles,shuffled for a set of each."
        ),
    ] = "tiles",
    background_genome: Annotated[
        Path | None, _file("Genome to tile, where --genome holds windows.")
    ] = None,
    background_ratio: Annotated[
        float, typer.Option(min=0.01, help="Background windows per open one.")
    ] = 1.0,
    margin: Annotated[
        int, typer.Option(min=0, help="Least distance of tiles from open regions, in bp.")
    ] = 300,
    blacklist: Annotated[Path | None, _file("Regions to avoid (BED).")] = None,
    most: Annotated[
        int | None, typer.Option(min=1, help="Pre-train on a sample of so many open windows.")
    ] = None,
    negatives: Annotated[
        str,
        typer.Option(
            help="Of a cell: shares of others (specific to another), nobody (open in none of the "
            "cells), universal (open in all), as others=0.5,nobody=0.5 (default), or 'published'."
        ),
    ] = "",
    ratio: Annotated[float, typer.Option(min=0.01, help="Negatives per positive of a cell.")] = 2.5,
    published_multiclass: Annotated[
        bool,
        typer.Option(
            "--published-multiclass",
            help="Write the published multi-class set too, which lacks most negatives.",
        ),
    ] = False,
    split: SplitBy = "chromosome",
    valid_chroms: ValidChroms = "",
    test_chroms: TestChroms = "",
    fold: Fold = "",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Write SETS/pretraining, SETS/cells/CELL, SETS/multiclass and SETS/sets.tsv.

    Pre-training: windows that are open, but in none of the cells, against background. Cells:
    windows open in that one of the cells alone, against named negatives. Multi-class: all cells'
    windows, one class each. The split is one for all; test is chr2 and chr3 where there are both.
    Tiles are taken on chromosomes that have open regions in the list.
    """
    from cistransfer.binding.matrix import read_open_regions
    from cistransfer.examples.draw import Background, Shares
    from cistransfer.examples.sources import FromOpenness
    from cistransfer.examples.write_sets import write_listed_sets, write_sets
    from cistransfer.openness.options import OpenOptions

    rule = requested_split(split, valid_chroms, test_chroms, seed, fold)
    chosen = comma_list(cells)
    if lists is not None:
        heard = {
            "out", "genome", "cells", "lists", "split", "valid_chroms", "test_chroms", "fold",
            "published_multiclass", "seed", "as_json",
        }  # fmt: skip
        for parameter in context.command.params:
            if parameter.name in _typed(context) - heard:
                raise InputError(f"{parameter.opts[0]} has no meaning with --lists; drop it")
        table = write_listed_sets(
            out, lists, genome, chosen, split=rule, published_multiclass=published_multiclass
        )
    else:
        if not chosen:
            raise InputError("--cells is needed: the cells to make models for")
        shares = _shares(negatives)
        given = [
            path for path in (matrix, dhs, open_sheet, open_table, signals) if path is not None
        ]
        if len(given) != 1:
            raise InputError(
                "open regions are needed: one of --matrix, --dhs, --open, --open-table, --signals"
            )
        opened = read_open_regions(
            OpenOptions(
                given[0],
                regions=regions,
                dhs_sources=dhs_sources,
                ucsc2encode=ucsc2encode,
                samples=samples,
                open_above=None if open_table is None else open_above,
                z_above=None if signals is None else threshold,
                replicates=replicates,
            )
        )
        source = FromOpenness(
            opened,
            chosen,
            genome,
            window=window,
            background_genome=background_genome,
            margin=margin,
            blacklist=blacklist,
        )
        table = write_sets(
            out,
            source,
            backgrounds=comma_list(background),
            background=Background(background_ratio, most),
            negatives=Shares(shares, ratio),
            split=rule,
            published_multiclass=published_multiclass,
            seed=seed,
        )
    record(context, out)
    finish(
        {"folder": str(out), "sets": table.to_dict("records")},
        as_json,
        [*_lines(table), f"written: {out} (see sets.tsv)"],
    )


@accessibility_app.command("study")
def study(
    context: typer.Context,
    sets: Annotated[Path, _file("Folder of 'cistransfer accessibility sets'.")],
    out: Annotated[Path, typer.Option(metavar="STUDY", help="Study folder.")],
    architecture: Annotated[
        str, typer.Option(help="Network: see 'cistransfer models'.")
    ] = DEFAULTS.architecture,
    trunk: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Start from this trunk ('general': the shipped one) instead of pre-training.",
        ),
    ] = None,
    strategies: Annotated[
        str, typer.Option(help="Comma list of strategies for the cells' models.")
    ] = ",".join(DEFAULTS.strategies),
    pretraining: Annotated[str, typer.Option(help="Strategy of the trunk.")] = DEFAULTS.pretraining,
    multiclass: Annotated[
        str,
        typer.Option(help="Strategy of the multi-class networks (or chromtransfer-multiclass)."),
    ] = DEFAULTS.multiclass,
    baselines: Annotated[
        str, typer.Option(help="Comma list of baselines: see 'cistransfer evaluate'.")
    ] = ",".join(DEFAULTS.baselines),
    shares: Annotated[
        str, typer.Option("--percent", help="Comma list: per cent of the training set.")
    ] = ",".join(f"{100 * share:g}" for share in DEFAULTS.fractions),
    draws: Annotated[
        int, typer.Option(min=1, help="Draws of each share below 100.")
    ] = DEFAULTS.draws,
    most: Annotated[
        int, typer.Option(min=0, help="Most positives of a cell to train on; 0: all.")
    ] = DEFAULTS.most or 0,
    most_test: Annotated[
        int, typer.Option(min=0, help="Most positives of a cell to test on; 0: all.")
    ] = DEFAULTS.most_test or 0,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Most epochs of a cell's models.")
    ] = None,
    pretraining_epochs: Annotated[
        int, typer.Option(min=1, help="Epochs of the trunk.")
    ] = DEFAULTS.pretraining_epochs,
    multiclass_epochs: Annotated[
        int, typer.Option(min=1, help="Epochs of the multi-class networks.")
    ] = DEFAULTS.multiclass_epochs,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Minutes instead of an hour, to see it work; not a result."),
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes, one thread each [default: all cores].")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Compare transfer with scratch, multi-class and the pre-trained network on every cell.

    Writes STUDY/results.tsv, tables and figures; 'cistransfer compare STUDY/results.tsv' tests the
    differences. Repeating the command goes on where it stopped.
    """
    from dataclasses import replace

    from cistransfer.studies.accessibility import accessibility_study
    from cistransfer.studies.overview import write_overview

    settings = Settings(
        architecture=architecture,
        pretraining=pretraining,
        multiclass=multiclass,
        strategies=comma_list(strategies),
        baselines=comma_list(baselines),
        fractions=_fractions(shares),
        draws=draws,
        most=most or None,
        most_test=most_test or None,
        epochs=epochs,
        pretraining_epochs=pretraining_epochs,
        multiclass_epochs=multiclass_epochs,
        trunk=trunk,
        seed=seed,
    )
    if quick:
        typed = _typed(context)
        named = {"fractions": "shares"}
        settings = replace(
            settings, **{key: v for key, v in QUICK.items() if named.get(key, key) not in typed}
        )
    table = accessibility_study(
        out,
        sets,
        settings,
        jobs=jobs or cpus.allowed(),
        device=device,
        precision=precision,
    )
    record(context, out)
    summary = write_overview(out, table)
    finish(
        {
            "folder": str(out),
            "results": table.astype(object).where(table.notna(), None).to_dict("records"),
        },
        as_json,
        [*summary.splitlines(), f"written: {out} (results.tsv, summary.md, figures)"],
    )


def _typed(context: typer.Context) -> set[str]:
    """Names of the parameters that the user gave."""
    return {
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) is not None
        and source.name == "COMMANDLINE"
    }


def _fractions(text: str) -> tuple[float, ...]:
    """Read per cents."""
    try:
        return tuple(float(part) / 100 for part in comma_list(text))
    except ValueError as error:
        raise InputError(f"--percent: expected numbers such as 5,100, found {text!r}") from error


def _shares(text: str) -> dict[str, float]:
    """Read ``others=0.5,nobody=0.5``."""
    from cistransfer.examples.draw import NEGATIVES, PUBLISHED_NEGATIVES

    if text in ("", "published"):
        return dict(PUBLISHED_NEGATIVES if text else NEGATIVES)
    shares = {}
    for item in comma_list(text):
        kind, equals, number = item.partition("=")
        try:
            shares[kind.strip()] = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise InputError(f"--negatives: expected KIND=SHARE, found {item!r}")
    return shares


def _lines(table: pd.DataFrame) -> list[str]:
    """One line per set: windows of each source, train / valid / test."""
    lines = []
    for name, rows in table.groupby("set", sort=False):
        number = rows.pivot_table(
            index="source", columns="part", values="windows", aggfunc="sum", fill_value=0
        ).reindex(columns=["train", "valid", "test"], fill_value=0)
        kinds = (
            f"{source} {row['train']:,} / {row['valid']:,} / {row['test']:,}"
            for source, row in number.iterrows()
        )
        lines.append(f"{name}: " + ", ".join(kinds))
    return [*lines, "(windows for training / validation / test)"]


def register(app: typer.Typer) -> None:
    """Add the verbs to the application."""
    app.add_typer(accessibility_app, name="accessibility")
