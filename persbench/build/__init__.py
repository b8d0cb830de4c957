"""From raw text to a persona: reading, asking an annotator, and writing a pack."""
