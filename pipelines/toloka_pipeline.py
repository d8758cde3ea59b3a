"""Load Toloka's projects and trainings into a warehouse, as the command `toloka-source` does.

uv run pipelines/toloka_pipeline.py --demo   # a local Toloka, no account needed
uv run pipelines/toloka_pipeline.py          # your account: SOURCES__TOLOKA__TOKEN, or .dlt/secrets.toml
uv run pipelines/toloka_pipeline.py backfill --start-date 2025-01-01 --end-date 2026-01-01 --by month --workers 4

Exit code: 0 done, 1 failed, 2 wrong usage or configuration (no request was made).
"""

import sys

from toloka_source.cli import script

if __name__ == "__main__":
    sys.exit(script(__file__))
