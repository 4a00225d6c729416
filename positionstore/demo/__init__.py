"""The demo: the whole system on this machine, with nothing to configure.

It starts the sandbox and the ingester as separate processes, as a user would, and watches them from
outside: through the database and the sandbox's control endpoints.
"""
