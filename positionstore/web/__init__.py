"""What a running ingester shows by HTTP: metrics, and whether it is alive and ready."""
