"""Transfer learning for regulatory DNA: few peaks in, binding predictions out.

::

    import cistransfer as ct

    model = ct.finetune("mine.narrowPeak", open_regions="dhs.bed", genome="hg38.fa",
                        trunk="general", out="model")
    ct.predict(model, "regions.bed", genome="hg38.fa")

The names of `cistransfer.api` are loaded when they are first used.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_ROOM_OF = {
    "InputError": "errors",
    "overwriting": "storage",
    "simulate": "simulation.simulate",
    # data
    "list_data": "api.public_data",
    "get_data": "api.public_data",
    "open_genome": "api.data",
    "read_regions": "api.data",
    "read_motifs": "api.data",
    "open_matrix": "api.data",
    "build_matrix": "api.data",
    "find_relatives": "api.data",
    # examples
    "make_examples": "api.learn",
    "open_examples": "api.learn",
    "FromFasta": "examples.sources",
    "FromLists": "examples.sources",
    "FromMatrix": "examples.sources",
    "FromOpenness": "examples.sources",
    "FromPeaks": "examples.sources",
    "FromRegions": "examples.sources",
    "FromTFs": "examples.sources",
    "Matched": "examples.draw",
    "HoldOut": "examples.holdout",
    "Split": "examples.split",
    # models
    "learn": "api.answers",
    "learn_each": "api.answers",
    "pretrain": "api.learn",
    "finetune": "api.learn",
    "open_bundle": "api.learn",
    "evaluate": "api.results",
    "compare": "api.results",
    "write_report": "api.results",
    "study": "studies.run",
    # what they say
    "score": "api.use",
    "predict": "api.use",
    "predict_track": "api.use",
    "score_variants": "api.variants",
    "annotate_variants": "api.variants",
    "attribute": "api.explain",
    "mutagenesis": "api.explain",
    "interpret": "api.explain",
    "explain_locus": "api.explain",
    "plot_locus": "api.results",
    "plot_logo": "api.results",
    "drawings": "api.drawings",
    # handing on
    "as_module": "api.share",
    "export_bundle": "api.share",
    "import_bundle": "api.share",
    "pack_bundle": "api.share",
    "push_bundle": "api.share",
    "unpack_bundle": "api.share",
}

__all__ = ["__version__", *_ROOM_OF]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
