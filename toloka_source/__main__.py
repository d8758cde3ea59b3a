"""The command: `python -m toloka_source`, which is `toloka-source`."""

import sys

from toloka_source.cli import main

if __name__ == "__main__":
    sys.exit(main())
