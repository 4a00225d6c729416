"""The demo: the whole system at work on this machine, with nothing to configure.

It starts the sandbox and the ingester as processes of their own, just as a user would, and looks
on from outside: at the database, and at what the sandbox tells of itself.
"""
