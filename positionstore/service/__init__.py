"""The service: the ingester and the periodic reconciler in one process."""
