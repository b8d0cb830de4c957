"""Two personas in conversation: who speaks, what they are told, how the talk is played, probed and kept."""
