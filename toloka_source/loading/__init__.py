"""One run of a pipeline: what an interrupted run left, the load, its report."""
