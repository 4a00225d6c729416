"""What a running ingester serves over HTTP: metrics and health."""
