"""``cistransfer bundle``: inspect, pack and hand on trained models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cistransfer.cli.groups import Ensemble, OneBundle, OwnNetworks
from cistransfer.cli.verb import Done
from cistransfer.options import option

__all__ = ["check", "export", "import_", "info", "pack", "push", "unpack"]


def info(model: OneBundle) -> Done:
    """Print what a bundle or a packed file says of itself: data, split, numbers, versions."""
    from cistransfer.sharing.pack import bundle_facts

    facts = bundle_facts(model.bundle)
    lines = []
    if packed := facts["packed"]:
        lines.append(
            f"{facts['path']}: packed by cistransfer {packed['cistransfer']}, "
            f"{packed['bytes'] / 1e6:.1f} MB, licence {packed['license'] or 'not stated'}"
        )
    for name, each in facts["bundles"].items():
        tasks = ", ".join(each["tasks"][:5]) + ", …" * (len(each["tasks"]) > 5)
        beside = f" with {each['motifs']} motifs" if each["motifs"] else ""
        lines += [
            f"{name}: {each['architecture']['name']}{beside}, {each['window']} bp, "
            f"{len(each['tasks'])} tasks ({tasks}), bundle format {each['version']}",
            f"  assembly {each['assembly'] or 'not recorded'}, strategy {each['strategy']}, "
            f"trunk of {len(each['trunk'])} TFs"
            if each["trunk"]
            else f"  assembly {each['assembly'] or 'not recorded'}, strategy {each['strategy']}",
        ]
        if each["validation"]:
            means = ", ".join(f"{key} {value:.3f}" for key, value in each["validation"].items())
            lines.append(f"  on its validation part (mean over tasks): {means}")
        lines.append(f"  weights {each['weights']}")
    return Done(facts, lines)


def check(model: OneBundle, networks: OwnNetworks) -> Done:
    """Compare a bundle or a packed file with its hashes, and score its example again."""
    from cistransfer.models.bundle import check_bundle, find_bundles

    networks.register()
    found = {name: check_bundle(place) for name, place in find_bundles(model.bundle).items()}
    return Done(
        {"path": model.bundle, "bundles": found},
        [
            f"{name}: works: {done['sequences']} example sequences, largest difference "
            f"{done['largest_difference']:.1e}"
            for name, done in found.items()
        ],
    )


@dataclass(frozen=True)
class WithCard:
    """The card."""

    evaluation: Path | None = option(
        None,
        help="Evaluation of these models, with baselines: the card's held-out numbers.",
    )
    license: str | None = option(None, help="Licence under which you hand it on (cc-by-4.0 …).")
    title: str | None = option(None, help="Title of the card [default: the tasks].")


@dataclass(frozen=True)
class Packed:
    """The packed file."""

    out: Path = option(help="File to write (model.zip).")


def pack(models: Ensemble, packed: Packed, card: WithCard, networks: OwnNetworks) -> Done:
    """Pack a model, or several as an ensemble, into one checksummed file with a card in words."""
    from cistransfer.options import arguments
    from cistransfer.sharing.pack import pack_bundles

    networks.register()
    done = pack_bundles(models.bundles, packed.out, **arguments(card))
    names = ", ".join(done["bundles"])
    lines = [f"{names}: {done['bytes'] / 1e6:.1f} MB, written: {done['out']}"]
    return Done(done, lines, written=[packed.out])


@dataclass(frozen=True)
class Pushed:
    """The hub."""

    to: str = option(metavar="hf:OWNER/NAME", help="Repository; made where there is none.")
    private: bool = option(False, help="Make the repository a private one.")


def push(models: Ensemble, pushed: Pushed, card: WithCard, networks: OwnNetworks) -> Done:
    """Put a model, or several as an ensemble, on the Hugging Face hub, with its card in words.

    Everything that takes a model then takes hf:OWNER/NAME. Needs the extra hub and a login (hf
    auth login, or HF_TOKEN).
    """
    from cistransfer.options import arguments
    from cistransfer.sharing.push import push_bundles

    networks.register()
    done = push_bundles(models.bundles, pushed.to, private=pushed.private, **arguments(card))
    return Done(done, [f"{', '.join(done['bundles'])}: {done['to']}", done["url"]])


@dataclass(frozen=True)
class Unpacked:
    """What is unpacked."""

    packed: str = option(positional=True, path=True, help="Packed file, or hf:owner/name.")
    out: Path = option(help="Folder of the bundle; of an ensemble the folder of its bundles.")


def unpack(unpacked: Unpacked) -> Done:
    """Take the bundles out of a packed file; everything that takes a model also takes the file."""
    from cistransfer.sharing.pack import unpack_bundles

    done = unpack_bundles(unpacked.packed, unpacked.out)
    return Done(done, [f"{name}: {place}" for name, place in done["bundles"].items()])


@dataclass(frozen=True)
class Exported:
    """What is written."""

    to: str = option(choices=("pytorch", "onnx"), help="pytorch or onnx.")
    out: Path = option(help="Folder (pytorch) or file (onnx).")


def export(model: OneBundle, exported: Exported, networks: OwnNetworks) -> Done:
    """Write a model for other programs: a folder of plain PyTorch, or an ONNX file.

    Both strands, motifs and calibration are in it; it is scored and compared before it is kept.
    """
    from cistransfer.models.bundle import open_bundle
    from cistransfer.sharing.export import export_bundle

    networks.register()
    done = export_bundle(open_bundle(model.bundle), exported.out, exported.to)
    lines = [f"{done['out']}: logits differ by up to {done['largest_difference']:.1e}"]
    # A folder is handed on as it is, without the names of files here that a record has.
    return Done(done, lines, written=[exported.out] if exported.to == "onnx" else [])


@dataclass(frozen=True)
class Imported:
    """The network."""

    file: Path = option(
        positional=True, help="Keras (.h5, .keras) or PyTorch (.pt, .pth, .ckpt) file of weights."
    )
    architecture: str = option(help="Whose layers it has: cnn, danq or chromtransfer.")
    tasks: tuple[str, ...] = option(help="Comma list: names of its outputs, in their order.")
    window: int = option(min=1, help="Length of its input in bp.")
    alphabet: str = option("ACGT", help="Order of the bases in its one-hot.")
    epsilon: float | None = option(
        None,
        min=0,
        help="Of its batch norms, where the file does not say [default: Keras 0.001, PyTorch "
        "0.00001].",
    )
    arguments: tuple[str, ...] = option(
        (), flag="--arg", repeat=True, metavar="KEY=VALUE", help="Argument of the network."
    )


@dataclass(frozen=True)
class TrainedOn:
    """What it has seen."""

    seen: Path = option(
        help="Regions (BED) it was trained and validated on, for the leakage guard; whole "
        "chromosomes where they are not known."
    )
    assembly: str = option(help="Assembly of these regions.")


@dataclass(frozen=True)
class NewBundle:
    """The bundle."""

    out: Path = option(help="Folder of the bundle.")


def import_(network: Imported, trained: TrainedOn, made: NewBundle) -> Done:
    """Make a bundle of a network that Keras, gReLU or PyTorch trained; its file runs no code."""
    from cistransfer.genome.bed import read_bed
    from cistransfer.models.registry import read_arguments
    from cistransfer.sharing.foreign import import_network

    bundle, matched = import_network(
        network.file,
        made.out,
        architecture=network.architecture,
        tasks=network.tasks,
        window=network.window,
        seen=read_bed(trained.seen),
        assembly=trained.assembly,
        alphabet=network.alphabet,
        epsilon=network.epsilon,
        arguments=read_arguments(network.architecture, network.arguments),
    )
    return Done(
        {"out": str(made.out), "tasks": list(bundle.tasks), "layers": matched},
        [
            *(f"{theirs} → {ours}" for theirs, ours in matched),
            f"one-hot in the order {network.alphabet}, an N as no base; no calibration came with "
            f"it: threshold 0, temperature 1",
            f"written: {made.out}",
        ],
    )
