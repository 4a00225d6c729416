"""The nightly job: a run in full, and a report for machines and for a person."""
