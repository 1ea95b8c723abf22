"""`python -m tokframe`: the same as the command `tokframe`; what torchrun starts in each process."""

from __future__ import annotations

import sys

from tokframe.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
