"""One self-contained HTML page out of a run's own tables and figures."""
