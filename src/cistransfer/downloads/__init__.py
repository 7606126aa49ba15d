"""Public data that models are made from: what there is, and how to get it. Nothing needs it."""
