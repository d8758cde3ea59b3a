"""How fast this project is beside other ways to bring the same objects into DuckDB: `uvx nox -s bench`.

    __main__.py      the command: builds the environments, goes through the plan, writes the report
    plan.py          what is measured, in the order of its worth
    run.py           goes through the plan, and leaves out what is measured already
    kept.py          the measurements, kept as soon as they are made
    versions.py      what a measurement depends on: it counts for nothing else
    dataset.py       the account as it is at the first load, half a day later, and after edits
    server.py        serves it from a process of its own, too fast to be what is measured
    environments.py  an environment for each rival
    measure.py       one load of one rival, in processes of their own
    worker.py        what runs in such a process
    memory.py        the peak memory of one load of this project, for the tests
    checks.py        what has to be in the tables afterwards
    results.py       medians and ratios, in a file of the repository
    report.py        results as tables;  plots.py: as pictures
    rivals/          a module for each rival, all with the same functions

Only ratios mean something: other machines, and other work on the same one, move all numbers together.
"""
