"""Write the parts of the documentation that are made from the code, where they are stale: `python -m tests.docs`.

    python -m tests.docs           # after a change of a column, an option, an argument, a filter, an error, a fault
    python -m tests.docs --check   # write nothing; exit code 1 if anything is stale

`pages.py` finds the parts on the pages, `parts.py` makes them, `schema_picture.py` draws the tables.
"""

import argparse
import sys

from tests.docs import schema_picture
from tests.docs.pages import ROOT, current, texts


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs", description="Write what is made from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing, only say what is stale")
    check = parser.parse_args().check
    stale = [page for page in texts() if page.read_text() != current(page)]
    if schema_picture.is_stale():
        stale.append(schema_picture.FILE)
    for page in stale:
        if not check and page == schema_picture.FILE:
            schema_picture.draw()
        elif not check:
            page.write_text(current(page))
        sys.stdout.write(f"{'stale' if check else 'written'}: {page.relative_to(ROOT)}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
