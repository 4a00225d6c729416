"""Walks ``GET /positions``, compares, and repairs by appending snapshots."""
