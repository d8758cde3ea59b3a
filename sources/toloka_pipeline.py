"""Load Toloka's projects and trainings; every later run brings what is new."""

import dlt
from toloka import toloka


def load_toloka() -> None:
    """Run the pipeline once."""
    pipeline = dlt.pipeline("toloka", destination="duckdb", dataset_name="toloka_data")
    print(pipeline.run(toloka()))


if __name__ == "__main__":
    load_toloka()
