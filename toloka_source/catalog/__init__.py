"""The lists of the API that are loaded: the only place that says which there are."""

from toloka_source.catalog.endpoints import ENDPOINTS, Endpoint

__all__ = ["ENDPOINTS", "Endpoint"]
