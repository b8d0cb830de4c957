"""Ways to make a model speak as a persona: functions from an item to chat messages."""
