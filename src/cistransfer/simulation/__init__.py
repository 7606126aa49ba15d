"""Simulated data whose truth is known: genome, DHS, peaks and TFBS in the real files' forms."""

from cistransfer.simulation.simulate import SimulationTruth, simulate

__all__ = ["SimulationTruth", "simulate"]
