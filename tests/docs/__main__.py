"""Write the parts of the documentation that are made from the code, where they are stale: `python -m tests.docs`.

    python -m tests.docs           # after a change of a column, an option, an argument, a filter, an error, a fault
    python -m tests.docs --check   # write nothing; exit code 1 if anything is stale

`pages.py` finds the parts on the pages, `parts.py` makes them, `schema_picture.py` draws the tables, and
`dbt_sources.py` writes them down for dbt.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from tests.docs import dbt_sources, schema_picture
from tests.docs.pages import ROOT, current, texts


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs", description="Write what is made from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing, only say what is stale")
    check = parser.parse_args().check
    stale = {page: partial(_write, page) for page in texts() if page.read_text() != current(page)}
    stale |= {made.FILE: made.write for made in (schema_picture, dbt_sources) if made.is_stale()}
    for path, write in stale.items():
        if not check:
            write()
        sys.stdout.write(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}\n")
    return 1 if check and stale else 0


def _write(page: Path) -> None:
    page.write_text(current(page))


if __name__ == "__main__":
    sys.exit(main())
