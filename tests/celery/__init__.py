"""The DAGs in a real Airflow with two Celery workers, as on two machines."""
