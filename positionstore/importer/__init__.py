"""Bringing in what lies elsewhere: captured events in files, and inputs in quarantine."""
