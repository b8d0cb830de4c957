"""Scores as pure functions on plain values: no model, no task, no file; import each module by its own name."""
