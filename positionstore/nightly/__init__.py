"""The nightly job: a full run, and a report for machines and for people."""
