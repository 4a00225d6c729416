"""The vocabulary that every other package shares; it does nothing to the outside."""
