"""From a gateway into the log: connections, the buffer, the flusher, the spool."""
