"""Transfer learning for regulatory DNA: few peaks in, binding predictions out."""

__version__ = "0.1.0"
