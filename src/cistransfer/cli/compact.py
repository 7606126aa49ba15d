"""``cistransfer compact``: a smaller copy of a bundle."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from cistransfer.cli.groups import OneBundle, OwnNetworks
from cistransfer.cli.verb import Done
from cistransfer.options import option

__all__ = ["compact"]


@dataclass(frozen=True)
class Copy:
    """Output."""

    out: Path = option(help="Folder of the copy.")
    only_tfs: bool = option(
        False, help="Leave out the outputs of single cells (TF@cell, open@cell)."
    )
    join: Path | None = option(
        None,
        help="Run folder of a trunk of the architecture motif-bank with the same outputs: the copy "
        "(towers) has the features of both.",
    )


def compact(model: OneBundle, networks: OwnNetworks, copy: Copy) -> Done:
    """Write a copy of a bundle with weights in half precision, for sharing."""
    from cistransfer.models.compact import compact_bundle

    networks.register()
    with tempfile.TemporaryDirectory(prefix="cistransfer-compact-") as folder:
        bundle = Path(model.bundle)
        if copy.join is not None:
            from cistransfer.training.join import join_trunks

            bundle = join_trunks(model.bundle, copy.join, Path(folder) / "bundle").path
        result = compact_bundle(bundle, copy.out, only_tfs=copy.only_tfs)
    return Done(
        result,
        [
            f"{result['bundle']}: {result['bytes'] / 1e6:.1f} MB, example logits changed by up to "
            f"{result['largest_difference']:.1e}"
        ],
    )
