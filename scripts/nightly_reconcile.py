#!/usr/bin/env python3
"""Reconciles in full and leaves a report; what a crontab starts. See its --help."""

import sys

import checkout

if __name__ == "__main__":
    checkout.enter()
    from positionstore.cli import main

    sys.exit(main(command="nightly", called="nightly_reconcile.py"))
