"""The lists of the API: the only place that says which there are."""

from toloka_source.catalog.endpoint import Endpoint
from toloka_source.catalog.endpoints import DEFAULT_ENDPOINTS, ENDPOINTS, resource_names

__all__ = ["DEFAULT_ENDPOINTS", "ENDPOINTS", "Endpoint", "resource_names"]
