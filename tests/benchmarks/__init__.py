"""How fast this project is beside other ways to bring the same objects into DuckDB: `uvx nox -s bench`.

    __main__.py      the command: builds the environments, runs everybody, writes the report
    dataset.py       the account as it is at the first load, and half a day later
    server.py        serves it from a process of its own, too fast to be what is measured
    environments.py  an environment for each rival
    measure.py       one load of one rival, in processes of their own
    worker.py        what runs in such a process
    memory.py        the peak memory of one load of this project, for the tests
    checks.py        what has to be in the tables afterwards
    report.py        results as Markdown and JSON;  plots.py: as pictures
    rivals/          a module for each rival, all with the same functions

Only ratios mean something: other machines, and other work on the same one, move all numbers together.
"""
