"""Judges: models that score saved replies, by prompts of their own, after they have qualified."""
