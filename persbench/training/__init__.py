"""Training a persona into a model's weights, by recipe."""
