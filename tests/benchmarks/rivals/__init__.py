"""A module for each rival, all with the same functions.

prepare(base_url)   what a process sets up before it loads; its time is part of the whole process only
first_load(job)     loads everything into DuckDB, in the current folder; returns the number of rows that it wrote
increment(job)      loads what is new or restarted since; the same
rescan(job)         reads everything again; the same
check()             the facts of the tables, see `checks.py`
"""
