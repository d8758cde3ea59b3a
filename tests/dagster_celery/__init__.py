"""The assets in a real Dagster with two Celery workers, as on two machines."""
