"""Other projects' data as packs: what a source holds is carried over, what fits nowhere is told by name."""
