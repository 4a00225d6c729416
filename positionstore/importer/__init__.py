"""Imports: captured events in files, logs of other stores, archives, and inputs in quarantine."""
