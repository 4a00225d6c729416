"""From a gateway into the log: the connection's supervisor, the inbox, the writer."""
