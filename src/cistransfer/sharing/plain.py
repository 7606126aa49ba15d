"""A model as one file of plain PyTorch, for people who do not want cistransfer.

The file is written from the graph that `torch.export` sees, so any network can be written; common
layers become short calls, everything else its ATen operator.
"""

from __future__ import annotations

import operator
import re
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

import cistransfer
from cistransfer.errors import InputError
from cistransfer.models.bundle import Bundle
from cistransfer.models.kernels import use

__all__ = ["plain_source"]

_INLINE, _INLINE_SUM = 64, 100  # letters of an expression that stays within another one

_HELPERS = {
    "conv": """
def conv(self, x, name, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    tensors = self.tensor(f"{name}.weight").unsqueeze(2), self.tensor(f"{name}.bias")
    return F.conv2d(x, *tensors, stride, padding, dilation, groups)
""",
    "norm": """
def norm(self, x, name, eps):
    parts = (self.tensor(f"{name}.{p}") for p in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, *parts, training=False, eps=eps)
""",
    "linear": """
def linear(self, x, name):
    return F.linear(x, self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias"))
""",
    "lstm": """
def lstm(self, x, name):
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ways = [self.tensor(f"{name}.{k}_l0{way}") for way in ("", "_reverse") for k in kinds]
    start = x.new_zeros(2, len(x), ways[1].shape[1])
    return torch.lstm(x, (start, start), ways, True, 1, 0.0, False, True, True)[0]
""",
}

_MOTIFS = """
def motifs(self, x):
    odds = [self.tensor(f"motifs.odds{{number}}") for number in range({n})]
    scans = [F.conv1d(x, torch.stack([each, each.flip(0, 1)])) for each in odds]
    each = torch.stack([scan.logsumexp((1, 2)) for scan in scans], 1)
    return {result}
"""
_BAGS = (
    "torch.cat([each[:, :{single}], each[:, {single}:].unflatten(1, ({bags}, {folds})).mean(2)], 1)"
)
_EXCLUSIVE = """own = torch.eye({n_tasks}, dtype=torch.bool, device=x.device)
return v - v[:, None, :].expand(-1, {n_tasks}, -1).masked_fill(own, -torch.inf).logsumexp(2)"""

_FILE = '''"""{title}: {window} bp of DNA in, {n_tasks} logits out. Run it to score its example.
Plain PyTorch (and safetensors), written by cistransfer {version}."""
import json
from pathlib import Path
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

HERE = Path(__file__).parent
TASKS = json.loads((HERE / "tasks.json").read_text())


class Network(torch.nn.Module):
    """One-hot (n, 4, {window}) of ACGT, N a column of zeros, to logits: mean of both strands."""

    def __init__(self):
        super().__init__()
        for name, tensor in load_file(HERE / "weights.safetensors").items():
            self.register_buffer(name.replace(".", "_"), tensor)
        self.register_buffer("temperature", torch.tensor([task["temperature"] for task in TASKS]))

    def forward(self, x):
        return (self.strand(x) + self.strand(x.flip(1, 2))) / 2

    def probabilities(self, x):
        return torch.sigmoid(self.forward(x) / self.temperature)

    def tensor(self, name):
        return getattr(self, name.replace(".", "_"), None)

{helpers}

    def strand(self, x):
{body}


def one_hot(sequences):
    columns = torch.cat([torch.eye(4), torch.zeros(1, 4)])
    codes = [["ACGT".find(base) % 5 for base in text.upper()] for text in sequences]
    return columns[torch.tensor(codes)].permute(0, 2, 1)


if __name__ == "__main__":
    example = json.loads((HERE / "example.json").read_text())
    with torch.no_grad():
        logits = Network()(one_hot(example["sequences"]))
    print("largest difference:", (logits - torch.tensor(example["logits"])).abs().max().item())
'''


def plain_source(bundle: Bundle, title: str) -> tuple[str, dict[str, Tensor]]:
    """Source of the file, and the tensors that it reads.

    Parameters
    ----------
    bundle : Bundle
    title : str
        For its first line.

    Returns
    -------
    source : str
    tensors : dict of str to Tensor
        For ``weights.safetensors`` beside it.
    """
    model = bundle.model
    motifs = model.motifs
    program = _graph(
        _Features(model.network) if motifs is not None else model.network, bundle.window
    )
    writer = _Writer(program)
    result = writer.lines(program.graph)
    helpers = dict(_HELPERS)
    if motifs is not None:
        n, single = len(motifs.widths), motifs.n_single
        bags = _BAGS.format(single=single, bags=motifs.bags, folds=motifs.folds)
        helpers["motifs"] = _MOTIFS.format(n=n, result=bags if motifs.bags else "each")
        result = f"self.linear(torch.cat([{result}, self.motifs(x)], 1), 'head')"
        writer.used |= {"motifs", "linear"}
        kept = {k: v for k, v in model.state_dict().items() if k.startswith(("motifs.", "head."))}
        writer.tensors |= {name: tensor.detach().contiguous() for name, tensor in kept.items()}
    body = writer.live(result)
    if model.link == "exclusive":
        body += [f"v = {result}", *_EXCLUSIVE.format(n_tasks=len(bundle.tasks)).splitlines()]
    else:
        body.append(f"return {result}")
    source = _FILE.format(
        title=" ".join(title.split()).replace('"', "'").replace("\\", "/")[:60],
        window=bundle.window,
        n_tasks=len(bundle.tasks),
        version=cistransfer.__version__,
        helpers="\n".join(
            textwrap.indent(text, " " * 4) for name, text in helpers.items() if name in writer.used
        ).strip("\n"),
        body=textwrap.indent("\n".join(body), " " * 8),
    )
    return source, writer.tensors


class _Features(nn.Module):
    """A network without its head, which motifs stand before."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.given = network

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.given.features(x)  # type: ignore[operator]
        return features


def _graph(network: nn.Module, window: int) -> Any:
    x = torch.eye(4)[torch.arange(3 * window).reshape(3, window) % 4].permute(0, 2, 1).contiguous()
    with torch.no_grad(), use(False), warnings.catch_warnings():
        # of an LSTM, whose list of weights is made anew in each forward pass
        warnings.filterwarnings("ignore", "The tensor attributes .*flat_weights", UserWarning)
        return torch.export.export(network, (x,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))


class _Writer:
    """Lines of Python for a graph of ATen operators.

    Attributes
    ----------
    body : list of str
        Assignments, in order.
    used : set of str
        Helpers that they call.
    tensors : dict of str to Tensor
        Parameters, buffers and constants that they read.
    """

    def __init__(self, program: Any) -> None:
        self.body: list[str] = []
        self.used: set[str] = set()
        self.tensors: dict[str, Tensor] = {}
        signature = program.graph_signature
        names = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        self._names = {node: name.removeprefix("given.") for node, name in names.items()}
        values = {**program.state_dict, **program.constants}
        self._values = {name.removeprefix("given."): each for name, each in values.items()}
        self._known: dict[fx.Node, str] = {}
        self._weights: dict[fx.Node, str] = {}

    def lines(self, graph: fx.Graph) -> str:
        """Write a graph; returns the expression of its result."""
        for node in graph.nodes:
            if node.op == "placeholder":
                name = self._names.get(node.name)
                self._known[node] = "x" if name is None else "self." + name.replace(".", "_")
                if name is not None:
                    self._weights[node] = name
            elif node.op == "output":
                return self.text(node.args[0][0])
            elif node.op == "call_function" and node.users and node not in self._known:
                self._call(node)
            elif node.op == "get_attr":
                raise InputError(f"the network has a region that cannot be written: {node.target}")
        raise AssertionError("a graph without a result")

    def live(self, result: str) -> list[str]:
        """The assignments that a result needs."""
        kept: list[str] = []
        text = result
        for line in reversed(self.body):
            name, _, written = line.partition(" = ")
            if re.search(rf"\b{name}\b", text):
                kept.insert(0, line)
                text += " " + written
        return kept

    def _call(self, node: fx.Node) -> None:
        written = self._expression(node)
        if node in self._known:
            return
        # What is read twice, or is long, gets a name; everything is a pure function of its inputs.
        long = _INLINE_SUM if str(next(iter(node.users)).target).startswith("aten.add") else _INLINE
        if re.fullmatch(r"[\w.]+", written) or (len(node.users) == 1 and len(written) <= long):
            self._known[node] = written
            return
        name = f"v{len(self.body)}"
        self.body.append(f"{name} = {_bare(written)}")
        self._known[node] = name

    def _expression(self, node: fx.Node) -> str:
        target = str(node.target)
        for start, helper in _CALLS.items():
            if target.startswith(start):
                found = helper(self, node)
                if found is not None:
                    return found
        if node.target in _OPERATORS:
            left, right = map(self.text, node.args)
            return f"({left} {_OPERATORS[node.target]} {right})"
        if node.target is operator.getitem:
            return f"{self.text(node.args[0])}[{self.text(node.args[1])}]"
        words = [*map(self.text, node.args)]
        words += [
            f"{key}={self.text(value)}"
            for key, value in node.kwargs.items()
            if key not in ("device", "layout", "pin_memory")
        ]
        return f"torch.ops.{target}({', '.join(words)})"

    def text(self, value: Any) -> str:
        """An argument as Python."""
        if isinstance(value, fx.Node):
            self.keep(value)
            return self._known[value]
        if isinstance(value, list | tuple):
            inner = ", ".join(map(self.text, value))
            return f"[{inner}]" if isinstance(value, list) else f"({inner},)"
        if isinstance(value, float) and value in (float("inf"), float("-inf")):
            return "torch.inf" if value > 0 else "-torch.inf"
        return repr(value)

    def keep(self, node: fx.Node | None) -> None:
        """Have a tensor among those that are stored."""
        if node in self._weights:
            name = self._weights[node]
            self.tensors[name] = self._values[name].detach().clone().contiguous()

    def layer(self, nodes: Mapping[str, fx.Node | None]) -> str | None:
        """Name of the layer whose tensors these are, by their own names; None if there is none."""
        names = {part: self._weights.get(node) for part, node in nodes.items() if node is not None}
        layers = {name.removesuffix("." + part) for part, name in names.items() if name}
        if len(layers) != 1 or None in names.values():
            return None
        (layer,) = layers
        if any(name != f"{layer}.{part}" for part, name in names.items()):
            return None
        for node in nodes.values():
            self.keep(node)
        return layer


def _bare(written: str) -> str:
    """Without parentheses around all of it."""
    inner = written[1:-1]
    return inner if written.startswith("(") and not re.search(r"[()]", inner) else written


def _arguments(node: fx.Node, defaults: Sequence[Any]) -> list[Any]:
    """Positional arguments with those that were left out."""
    return [*node.args, *defaults[len(node.args) :]]


def _conv(writer: _Writer, node: fx.Node) -> str | None:
    x, weight, bias, *rest = _arguments(node, [None, None, None, [1, 1], [0, 0], [1, 1], 1])
    if not (isinstance(weight, fx.Node) and str(weight.target).startswith("aten.unsqueeze")):
        return None
    if weight.args[1] != 2 or isinstance(rest[1], str):
        return None
    name = writer.layer({"weight": weight.args[0], "bias": bias})  # type: ignore[dict-item]
    if name is None:
        return None
    writer.used.add("conv")
    usual = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}
    more = "".join(
        f", {key}={tuple(value) if isinstance(value, list) else value}"
        for (key, default), value in zip(usual.items(), rest, strict=True)
        if value != default
    )
    return f"self.conv({writer.text(x)}, {name!r}{more})"


def _norm(writer: _Writer, node: fx.Node) -> str | None:
    x, weight, bias, mean, variance, training, _, eps, *_ = node.args
    parts = {"weight": weight, "bias": bias, "running_mean": mean, "running_var": variance}
    name = writer.layer(parts)  # type: ignore[arg-type]
    if name is None or training:
        return None
    writer.used.add("norm")
    return f"self.norm({writer.text(x)}, {name!r}, {eps})"


def _linear(writer: _Writer, node: fx.Node) -> str | None:
    x, weight, bias = _arguments(node, [None, None, None])
    name = writer.layer({"weight": weight, "bias": bias})
    if name is None:
        return None
    writer.used.add("linear")
    return f"self.linear({writer.text(x)}, {name!r})"


def _lstm(writer: _Writer, node: fx.Node) -> str | None:
    x, _, weights, *how = node.args
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    parts = [f"{kind}_l0{way}" for way in ("", "_reverse") for kind in kinds]
    alone = all(user.args[1] == 0 for user in node.users if user.users)
    if how != [True, 1, 0.0, False, True, True] or len(weights) != 8 or not alone:  # type: ignore[arg-type]
        return None
    name = writer.layer(dict(zip(parts, weights, strict=True)))  # type: ignore[arg-type]
    if name is None:
        return None
    writer.used.add("lstm")
    written = f"self.lstm({writer.text(x)}, {name!r})"
    variable = f"v{len(writer.body)}"
    writer.body.append(f"{variable} = {written}")
    for user in node.users:  # the first of its three results
        writer._known[user] = variable
    return variable


def _same(writer: _Writer, node: fx.Node) -> str | None:
    return writer.text(node.args[0])


def _dropout(writer: _Writer, node: fx.Node) -> str | None:
    return None if node.args[2] else writer.text(node.args[0])


def _to(writer: _Writer, node: fx.Node) -> str | None:
    wanted = node.args[1]
    before = getattr(node.args[0], "meta", {}).get("val")
    same = before is not None and before.dtype == wanted
    return writer.text(node.args[0]) if same else f"{writer.text(node.args[0])}.to({wanted})"


def _slice(writer: _Writer, node: fx.Node) -> str | None:
    x, dim, start, end, step = _arguments(node, [None, 0, None, None, 1])
    if not all(isinstance(each, int | None) for each in (start, end, step)):
        return None
    whole = not start and (end is None or end >= 1 << 62)
    if whole and step == 1:
        return writer.text(x)
    ends = ("" if not start else str(start), "" if end is None or end >= 1 << 62 else str(end))
    part = ":".join(ends) + ("" if step == 1 else f":{step}")
    return f"{writer.text(x)}[{':, ' * dim}{part}]"


def _method(name: str) -> Callable[[_Writer, fx.Node], str | None]:
    def write(writer: _Writer, node: fx.Node) -> str | None:
        first, *rest = node.args
        if node.kwargs:
            return None
        return f"{writer.text(first)}.{name}({', '.join(map(writer.text, rest))})"

    return write


def _function(name: str) -> Callable[[_Writer, fx.Node], str | None]:
    def write(writer: _Writer, node: fx.Node) -> str | None:
        if node.kwargs:
            return None
        return f"{name}({', '.join(map(writer.text, node.args))})"

    return write


def _number(sign: str) -> Callable[[_Writer, fx.Node], str | None]:
    def write(writer: _Writer, node: fx.Node) -> str | None:
        if node.kwargs:
            return None
        left, right = map(writer.text, node.args)
        return f"({left} {sign} {right})"

    return write


_CALLS: dict[str, Callable[[_Writer, fx.Node], str | None]] = {
    "aten.conv2d.default": _conv,
    "aten.batch_norm.default": _norm,
    "aten.linear.default": _linear,
    "aten.lstm.input": _lstm,
    "aten.dropout": _dropout,
    "aten.contiguous": _same,
    "aten.to.dtype": _to,
    "aten.slice.Tensor": _slice,
    "aten.sym_size.int": lambda writer, node: f"{writer.text(node.args[0])}.shape[{node.args[1]}]",
    "aten.relu.default": _function("F.relu"),
    "aten.gelu.default": _function("F.gelu"),
    "aten.silu.default": _function("F.silu"),
    "aten.pad.default": _function("F.pad"),
    "aten.max_pool2d.default": _function("F.max_pool2d"),
    "aten.cat.default": _function("torch.cat"),
    "aten.stack.default": _function("torch.stack"),
    "aten.permute.default": _method("permute"),
    "aten.transpose.int": _method("transpose"),
    "aten.unsqueeze.default": _method("unsqueeze"),
    "aten.squeeze.dim": _method("squeeze"),
    "aten.flatten.using_ints": _method("flatten"),
    "aten.unflatten.int": _method("unflatten"),
    "aten.expand.default": _method("expand"),
    "aten.mean.dim": _method("mean"),
    "aten.flip.default": _method("flip"),
    "aten.logsumexp.default": _method("logsumexp"),
    "aten.masked_fill.Scalar": _method("masked_fill"),
    "aten.add.Tensor": _number("+"),
    "aten.sub.Tensor": _number("-"),
    "aten.mul.Tensor": _number("*"),
    "aten.div.Tensor": _number("/"),
    "aten.eq.Tensor": _number("=="),
}
_OPERATORS = {operator.add: "+", operator.mul: "*", operator.sub: "-", operator.floordiv: "//"}
