"""Example sets: windows, labels and a split, made from a binding matrix or from peaks."""
