"""A matrix of eight regions whose scores are spelled out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cistransfer.binding.file import MatrixParts

# Eight regions; P is assayed in cells a and b, Q in b, R in c (where nothing is open but one).
#            0  1  2  3  4  5  6  7
SCORES = {
    ("P", "a"): [1, 2, 3, 4, 1, 0, 0, 2],
    ("P", "b"): [1, 3, 2, 1, 0, 2, 0, 0],
    ("Q", "b"): [4, 1, 1, 1, 0, 1, 0, 0],
    ("R", "c"): [0, 0, 0, 0, 0, 0, 0, 1],
}
OPEN = {
    "a": [1, 1, 1, 1, 1, 0, 0, 1],
    "b": [1, 1, 1, 1, 0, 1, 0, 0],
    "c": [0, 0, 0, 0, 0, 0, 0, 1],
    "d": [0, 0, 0, 0, 0, 0, 1, 0],
}


def toy_parts() -> MatrixParts:
    """The parts of the literal matrix."""
    rows = [[at for at, score in enumerate(scores) if score > 1] for scores in SCORES.values()]
    kinds = [[score - 1 for score in scores if score > 1] for scores in SCORES.values()]
    table = pd.DataFrame(list(SCORES), columns=["tf", "cell"]).assign(
        accessions=["E1;E2", "E3", "E4", ""], peaks=True, tfbs=True, peak_rows=7, tfbs_rows=5
    )
    return MatrixParts(
        regions=pd.DataFrame(
            {
                "chrom": ["chr1"] * 3 + ["chr10"] * 2 + ["chr2"] * 3,
                "start": [100, 150, 900, 5, 400, 0, 60, 2000],
                "end": [160, 210, 960, 65, 460, 60, 120, 2060],
            }
        ),
        region_ids=np.arange(10, 18),
        cells=list(OPEN),
        accessibility=np.packbits(np.array(list(OPEN.values()), dtype=bool), axis=1),
        experiments=table,
        indptr=np.cumsum([0, *map(len, rows)]),
        region=np.concatenate([np.array(at, dtype=np.int32) for at in rows]),
        kind=np.concatenate([np.array(at, dtype=np.uint8) for at in kinds]),
        settings={"name": "toy", "genome": "toy1", "window": 60},
    )
