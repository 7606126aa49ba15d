"""Hand models on: pack, unpack, push, export, import."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cistransfer.api.doors import as_bundle, as_path, as_table, found, is_path, whole_number
from cistransfer.api.writes import writes
from cistransfer.errors import InputError
from cistransfer.models.bundle import Bundle
from cistransfer.sharing.export import export_bundle as export
from cistransfer.sharing.foreign import import_network
from cistransfer.sharing.module import Scorer
from cistransfer.sharing.module import as_module as module_of
from cistransfer.sharing.pack import pack_bundles, unpack_bundles
from cistransfer.sharing.push import push_bundles

__all__ = [
    "as_module",
    "export_bundle",
    "import_bundle",
    "pack_bundle",
    "push_bundle",
    "unpack_bundle",
]

PathLike = str | os.PathLike[str]


@writes("bundle pack")
def pack_bundle(
    models: Any,
    out: PathLike,
    *,
    evaluation: PathLike | None = None,
    license: str | None = None,
    title: str | None = None,
) -> Path:
    """Pack a model, or several as an ensemble, into one file to send.

    Everything that takes a model takes that file. It holds no code; weights, regions, example and
    a card in Markdown, each with its hash.

    Parameters
    ----------
    models : path, Bundle, list of them, or dict
        A dict gives them names.
    out : path
        ``model.zip``.
    evaluation : path, optional
        Evaluation of these models: the card takes held-out numbers, intervals and the baselines
        from it.
    license : str, optional
        Under which you hand it on (``"cc-by-4.0"``).
    title : str, optional

    Returns
    -------
    Path
        ``out``.

    Examples
    --------
    >>> import cistransfer as ct
    >>> packed = ct.pack_bundle("GABPA", "GABPA.zip", license="cc-by-4.0")
    >>> ct.predict(packed, ["ACGTT" * 20]).shape
    (1, 4)
    """
    pack_bundles(
        _models(models),
        as_path(out, "out"),
        evaluation=None if evaluation is None else as_path(evaluation, "evaluation"),
        license=license,
        title=title,
    )
    return Path(out)


@writes("bundle unpack")
def unpack_bundle(packed: PathLike, out: PathLike) -> list[Path]:
    """Take the bundles out of a packed file.

    Parameters
    ----------
    packed : path
    out : path
        The bundle's folder; of an ensemble the folder of its bundles.

    Returns
    -------
    list of Path
        Folders of the bundles.

    Examples
    --------
    >>> import cistransfer as ct
    >>> packed = ct.pack_bundle({"one": "GABPA", "two": "GABPA"}, "both.zip")
    >>> ct.unpack_bundle(packed, "both")
    [...Path('both/one'), ...Path('both/two')]
    """
    done = unpack_bundles(as_path(packed, "packed"), as_path(out, "out"))
    return [Path(place) for place in done["bundles"].values()]


def push_bundle(
    models: Any,
    to: str,
    *,
    evaluation: PathLike | None = None,
    license: str | None = None,
    title: str | None = None,
    private: bool = False,
) -> str:
    """Put a model, or several as an ensemble, on the Hugging Face hub, with its card.

    Needs the extra ``hub`` and a login (``hf auth login``, or ``HF_TOKEN``).

    Parameters
    ----------
    models, evaluation, license, title
        See `pack_bundle`.
    to : str
        ``"hf:owner/name"``; made where there is none.
    private : bool
        Of a repository that is made.

    Returns
    -------
    str
        ``"hf:owner/name@commit"``: everything that takes a model takes it.

    Examples
    --------
    >>> import cistransfer as ct
    >>> ct.push_bundle("GABPA", "hub/GABPA")
    Traceback (most recent call last):
    ...
    cistransfer.errors.InputError: expected a model of the hub as hf:owner/name[@revision], found 'hub/GABPA'
    """  # noqa: E501
    done = push_bundles(
        _models(models),
        str(to),
        evaluation=None if evaluation is None else as_path(evaluation, "evaluation"),
        license=license,
        title=title,
        private=private,
    )
    return str(done["to"])


@writes("bundle import")
def import_bundle(
    file: PathLike,
    out: PathLike,
    *,
    architecture: str,
    tasks: Any,
    window: int,
    seen: Any,
    assembly: str,
    alphabet: str = "ACGT",
    epsilon: float | None = None,
    arguments: dict[str, Any] | None = None,
) -> Bundle:
    """Make a bundle of a network that Keras, gReLU or PyTorch trained; its file runs no code.

    Parameters
    ----------
    file : path
        Keras' ``.h5`` or ``.keras``; PyTorch's ``.pt``, ``.pth`` or ``.ckpt``.
    out : path
        Folder of the bundle.
    architecture : {"cnn", "danq", "chromtransfer"}
        Whose layers it has.
    tasks : str or list of str
        Names of its outputs, in their order.
    window : int
        Length of its input in bp.
    seen : regions
        What it was trained and validated on (see `read_regions`), for the leakage guard; whole
        chromosomes where that is not known.
    assembly, alphabet, epsilon, arguments
        See `cistransfer.sharing.foreign.import_network`.

    Returns
    -------
    Bundle
        Its card says which layer of the file became which of ours.

    Examples
    --------
    >>> import cistransfer as ct
    >>> ct.import_bundle("data/genome.fa", "theirs", architecture="cnn", tasks="SPI1", window=200,
    ...                  seen="chr1:0-1000", assembly="hg38")
    Traceback (most recent call last):
    ...
    cistransfer.errors.InputError: data/genome.fa: ...
    """
    bundle, _ = import_network(
        as_path(file, "file"),
        as_path(out, "out"),
        architecture=architecture,
        tasks=[tasks] if isinstance(tasks, str) else list(tasks),
        window=whole_number(window, "window"),
        seen=as_table(seen),
        assembly=assembly,
        alphabet=alphabet,
        epsilon=epsilon,
        arguments=arguments,
    )
    return bundle


@writes("bundle export")
def export_bundle(model: Any, out: PathLike, to: str = "pytorch") -> Path:
    """Write a model for other programs: an ONNX file, or a folder of plain PyTorch.

    Both strands, motifs, the link and calibration are in it. What was written is scored and
    compared with the model; see `cistransfer.sharing.export.export_bundle`.

    Parameters
    ----------
    model : path, str or Bundle
    out : path
        A file (``onnx``) or a folder (``pytorch``).
    to : {"pytorch", "onnx"}
        ``onnx`` needs the extra of that name.

    Returns
    -------
    Path
        ``out``.

    Examples
    --------
    >>> import cistransfer as ct
    >>> folder = ct.export_bundle("GABPA", "plain")
    >>> sorted(file.name for file in folder.iterdir())
    ['README.md', 'example.json', 'model.py', 'tasks.json', 'weights.safetensors']
    """
    export(as_bundle(model), as_path(out, "out"), to)
    return Path(out)


def as_module(model: Any, *, strands: str = "both", output: str = "logit") -> Scorer:
    """A model as an ordinary `torch.nn.Module`: one-hot ``(n, 4, window)`` → ``(n, tasks)``.

    A copy in evaluation mode on the CPU, differentiable in its input: for tangermeme, captum and
    whatever takes a module.

    Parameters
    ----------
    model : path, str or Bundle
    strands : {"both", "forward"}
        ``both`` averages the logits of a sequence and its reverse complement.
    output : {"logit", "probability"}
        ``probability`` is calibrated.

    Examples
    --------
    >>> import cistransfer as ct
    >>> import torch
    >>> module = ct.as_module("trunk")
    >>> module(torch.eye(4)[torch.zeros(2, 100, dtype=torch.long)].permute(0, 2, 1)).shape
    torch.Size([2, 3])
    """
    return module_of(as_bundle(model), strands=strands, output=output)


def _models(models: Any) -> list[str | Bundle]:
    """Models as the rooms take them: bundles, or paths, named or not."""
    if isinstance(models, dict):
        return [f"{name}={_place(model)}" for name, model in models.items()]
    several = models if isinstance(models, list | tuple) else [models]
    return [each if isinstance(each, Bundle) else _place(each) for each in several]


def _place(model: Any) -> str:
    if isinstance(model, Bundle):
        return str(model.path)
    if not is_path(model):
        raise InputError(f"models: expected run folders or opened models, found {found(model)}")
    return os.fspath(model)
