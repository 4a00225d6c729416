#!/usr/bin/env python3
"""After an outage: repairs every open gap, a window, or all of history; see its --help.

It is `positionstore backfill`, to be called from a checkout without an environment of one's own.
"""

import sys

import checkout

if __name__ == "__main__":
    checkout.enter()
    from positionstore.cli import main

    sys.exit(main(command="backfill", called="backfill.py"))
