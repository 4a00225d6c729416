"""Exports: tables, views and queries as files of Parquet, CSV or JSON Lines."""
