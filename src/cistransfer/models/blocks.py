"""Building blocks: one-dimensional layers computed as two-dimensional, channels-last ones.

A ``Conv1d`` on CPU is 1.4 times slower than the same sum written as ``Conv2d`` with a kernel of
height 1 on channels-last memory. The blocks here keep the one-dimensional shape of every weight
(so weights read and write as those of ``Conv1d`` and ``BatchNorm1d``) and carry activations as
``(n, channels, 1, length)``. Every non-linearity is a module, because DeepLIFT hooks modules.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from cistransfer.models.dropout import Dropout
from cistransfer.models.pooling import window_maximum

__all__ = ["Conv", "ConvBlock", "conv_block", "dense_block", "lift"]


def lift(x: Tensor) -> Tensor:
    """Turn one-hot ``(n, 4, length)`` into ``(n, 4, 1, length)`` in channels-last memory."""
    last = x.permute(0, 2, 1).contiguous()  # a memory format by name is unknown to torch.vmap
    return last.unsqueeze(1).permute(0, 3, 1, 2)


class Conv(nn.Conv1d):
    """A ``Conv1d`` (same weights, same result) on ``(n, channels, 1, length)`` tensors."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve along the last axis.

        With padding ``same`` and an even kernel the odd zero goes to the right, as in Keras.
        """
        if self.padding == "same":
            total = self.dilation[0] * (self.kernel_size[0] - 1)
            padding = (0, total // 2)
            if total % 2:
                x = nn.functional.pad(x, (0, 1))
        else:
            padding = (0, 0) if isinstance(self.padding, str) else (0, self.padding[0])
        return nn.functional.conv2d(
            x,
            self.weight.unsqueeze(2),
            self.bias,
            stride=(1, self.stride[0]),
            padding=padding,
            dilation=(1, self.dilation[0]),
            groups=self.groups,
        )


class ConvBlock(nn.Sequential):
    """Convolution, batch norm and ReLU in either order, max-pooling.

    In training mode the maximum is taken before a ReLU that precedes it. The two commute, also in
    their gradients, and the ReLU then has a fraction of the work. In evaluation mode the modules
    run one after another, because attribution hooks them; and always where ``plain`` is set.
    """

    plain = False

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs, 1, length)`` to ``(n, filters, 1, length // pool)``."""
        modules = list(self)
        whole = len(modules) > 1 and isinstance(modules[-1], nn.MaxPool2d)  # else a slice of one
        if not (self.training and whole) or self.plain:
            return super().forward(x)
        *middle, pool = modules
        late = middle.pop() if isinstance(middle[-1], nn.ReLU) else nn.Identity()
        for module in middle:
            x = module(x)
        x = window_maximum(x, pool.kernel_size[1])  # type: ignore[index, arg-type]
        return late(x)


def conv_block(inputs: int, filters: int, kernel: int, pool: int, order: str) -> ConvBlock:
    """Convolution without padding, batch norm and ReLU in either order, max-pooling."""
    norm = ("norm", nn.BatchNorm2d(filters))
    relu = ("relu", nn.ReLU())
    middle = [norm, relu] if order == "bn-relu" else [relu, norm]
    return ConvBlock(
        OrderedDict(
            [
                ("conv", Conv(inputs, filters, kernel)),
                *middle,
                ("pool", nn.MaxPool2d((1, pool))),
            ]
        )
    )


def dense_block(inputs: int, outputs: int, dropout: float, order: str) -> nn.Sequential:
    """Linear layer, batch norm and ReLU in either order, dropout."""
    norm = ("norm", nn.BatchNorm1d(outputs))
    relu = ("relu", nn.ReLU())
    middle = [norm, relu] if order == "bn-relu" else [relu, norm]
    return nn.Sequential(
        OrderedDict(
            [("linear", nn.Linear(inputs, outputs)), *middle, ("dropout", Dropout(dropout))]
        )
    )
