"""Queries and charts in the browser: a notebook of marimo, run as an app."""
