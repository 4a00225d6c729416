"""positionstore: the books of leveraged prediction-market positions."""
