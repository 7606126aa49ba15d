"""Where chromatin is open in which cell, and what of it is specific to one cell."""
