"""Studies: many runs and their evaluations as one command that can be stopped and repeated."""
