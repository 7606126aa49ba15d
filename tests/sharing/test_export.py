"""What is exported scores as the bundle does, without cistransfer; the module is ordinary."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import cistransfer as ct
from cistransfer.errors import InputError
from cistransfer.models.blocks import one_hot
from cistransfer.models.bundle import Bundle
from cistransfer.models.cheap import CHEAP
from cistransfer.models.registry import ARCHITECTURES
from cistransfer.sharing import export

Make = Callable[..., Bundle]
NETWORKS = (*ARCHITECTURES, *CHEAP)


@pytest.fixture(scope="module")
def each(make: Make, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """Every registered network, with motifs, bags and exclusive classes."""
    folder = tmp_path_factory.mktemp("each")
    options = {"tasks": ("A", "B", "C"), "motifs": True, "link": "exclusive"}
    return {name: make(folder / name, name, **options) for name in NETWORKS}


def _x(bundle: Bundle, words: list[str]) -> torch.Tensor:
    return one_hot(torch.from_numpy(bundle.codes(words))).contiguous()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_module(name: str, each: dict[str, Bundle], words: list[str]) -> None:
    bundle = each[name]
    x = _x(bundle, words)
    with torch.no_grad():
        logits, forward = ct.as_module(bundle)(x), ct.as_module(bundle, strands="forward")(x)
        probabilities = ct.as_module(bundle, output="probability")(x)
    assert np.allclose(logits, bundle.score(words), atol=1e-5)
    assert np.allclose(forward, bundle.score(words, strands="forward"), atol=1e-5)
    assert np.allclose(probabilities, bundle.predict(words), atol=1e-6)
    with pytest.raises(InputError, match="output must be one of logit, probability"):
        ct.as_module(bundle, output="odds")


def test_the_module_is_a_copy_and_differentiable(toy: Bundle, words: list[str]) -> None:
    module, x = ct.as_module(toy), _x(toy, words).requires_grad_()
    assert isinstance(module, nn.Module)
    assert not module.training
    before = toy.score(words)
    (gradient,) = torch.autograd.grad(module(x).sum(), x)
    assert gradient.shape == x.shape
    assert gradient.abs().sum() > 0
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert np.array_equal(toy.score(words), before)


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx(name: str, each: dict[str, Bundle], words: list[str], tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    bundle = each[name]
    session = runtime.InferenceSession(ct.export_bundle(bundle, tmp_path / "m.onnx", to="onnx"))
    x = _x(bundle, words).numpy()
    for part in (x, x[:1]):  # not the number of sequences that it was written with
        logits, probabilities = session.run(None, {"x": part})
        assert np.allclose(logits, bundle.score(words)[: len(part)], atol=1e-5)
        assert np.allclose(probabilities, bundle.predict(words)[: len(part)], atol=1e-5)
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["tasks"]) == ["A", "B", "C"]
    assert facts["window"] == "100"


@pytest.mark.parametrize("name", NETWORKS)
def test_plain_pytorch(
    name: str, each: dict[str, Bundle], words: list[str], tmp_path: Path
) -> None:
    bundle = each[name]
    folder = ct.export_bundle(bundle, tmp_path / "plain")
    source = (folder / "model.py").read_text()
    assert len(source.splitlines()) < 100
    assert not any("import cistransfer" in line for line in source.splitlines())
    names: dict[str, object] = {"__file__": str(folder / "model.py"), "__name__": "m"}
    exec(compile(source, "model.py", "exec"), names)
    network = names["Network"]()
    x = _x(bundle, words)
    with torch.no_grad():
        assert torch.equal(names["one_hot"](words), x)
        assert np.allclose(network(x), bundle.score(words), atol=1e-5)
        assert np.allclose(network(x[:1]), bundle.score(words[:1]), atol=1e-5)
        assert np.allclose(network.probabilities(x), bundle.predict(words), atol=1e-5)


def test_it_needs_no_cistransfer(toy: Bundle, tmp_path: Path) -> None:
    """In another process, where cistransfer cannot be imported."""
    folder = ct.export_bundle(toy, tmp_path / "plain")
    (tmp_path / "cistransfer.py").write_text("raise ImportError('not here')\n")
    done = subprocess.run(
        [sys.executable, str(folder / "model.py")],
        env={"PYTHONPATH": str(tmp_path), "PATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout.split(":")[1]) < 1e-5


def test_what_scores_otherwise_is_not_kept(
    toy: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(bundle: Bundle, title: str) -> tuple[str, dict[str, torch.Tensor]]:
        source, tensors = plain(bundle, title)
        return source, {**tensors, "head.bias": tensors["head.bias"] + 1e-3}

    plain = export.plain_source
    monkeypatch.setattr(export, "plain_source", wrong)
    with pytest.raises(InputError, match=r"scores otherwise, by up to 0\.001"):
        ct.export_bundle(toy, tmp_path / "plain")
    assert not (tmp_path / "plain").exists()
    with pytest.raises(InputError, match="to must be one of onnx, pytorch"):
        ct.export_bundle(toy, tmp_path / "plain", to="keras")


# Libraries that take modules ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def network(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The published network, whose non-linearities are all modules."""
    return make(tmp_path_factory.mktemp("network") / "cnn", "cnn")


def test_tangermeme(network: Bundle, words: list[str]) -> None:
    """DeepLIFT and mutagenesis by tangermeme's own calls, on both strands."""
    deep = pytest.importorskip("tangermeme.deep_lift_shap")
    saturation = pytest.importorskip("tangermeme.saturation_mutagenesis")
    module, x = ct.as_module(network), _x(network, words[:2])
    references = _x(network, words[2:5])[None].repeat(2, 1, 1, 1)
    found = deep.deep_lift_shap(
        module, x, references=references, device="cpu", hypothetical=False, warning_threshold=1e-3
    )
    with torch.no_grad():
        gain = module(x)[:, 0] - module(references[0]).mean()
    assert found.shape == x.shape
    assert torch.allclose(found.sum((1, 2)), gain, atol=1e-3)
    before, after = saturation.saturation_mutagenesis(module, x, device="cpu", raw_outputs=True)
    assert np.allclose(before[:, 0], network.score(words[:2])[:, 0], atol=1e-5)
    mutant = x.clone()
    mutant[0, :, 40] = torch.tensor([0.0, 0.0, 1.0, 0.0])
    with torch.no_grad():
        assert torch.allclose(after[0, 2, 40], module(mutant)[0], atol=1e-5)


def test_captum(network: Bundle, words: list[str]) -> None:
    attr = pytest.importorskip("captum.attr")
    module, x = ct.as_module(network), _x(network, words[:3])
    baseline = torch.full_like(x, 0.25)
    with torch.no_grad():
        gain = module(x)[:, 0] - module(baseline)[:, 0]
    found, delta = attr.IntegratedGradients(module).attribute(
        x, baseline, target=0, n_steps=64, return_convergence_delta=True
    )
    assert torch.allclose(found.sum((1, 2)), gain + delta, atol=1e-4)
    with pytest.warns(UserWarning, match="Setting forward, backward hooks"):
        found, delta = attr.DeepLift(module).attribute(
            x.requires_grad_(), baseline, target=0, return_convergence_delta=True
        )
    assert delta.abs().max() < 1e-4
