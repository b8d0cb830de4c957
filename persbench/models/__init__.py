"""Models under test: how they are spoken to, where the default ones come from, and what tells two of them apart."""
