"""PostgreSQL, into which many processes merge at once.

dlt merges by deleting the rows that come again, then inserting them. Two processes that do so at once for the same id
(a training that was created in one window and started again in the next) would both find nothing to delete, and both
insert. So a merge locks its table first, and waits for the merges of others, also of those that don't lock.
"""

from collections.abc import Sequence
from typing import Any

from dlt.common.destination.client import FollowupJobRequest
from dlt.common.destination.typing import PreparedTableSchema
from dlt.destinations import postgres
from dlt.destinations.sql_client import SqlClientBase
from dlt.destinations.sql_jobs import SqlMergeFollowupJob

POSTGRES = "dlt.destinations.postgres"
"""dlt's name of the destination."""


class _MergeInTurn(SqlMergeFollowupJob):
    @classmethod
    def generate_sql(cls, table_chain: Sequence[PreparedTableSchema], sql_client: SqlClientBase[Any]) -> list[str]:
        table = sql_client.make_qualified_table_name(str(table_chain[0]["name"]))
        # dlt runs these statements in one transaction, and readers aren't kept waiting
        return [
            f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE;",
            *super().generate_sql(table_chain, sql_client),
        ]


class PostgresInTurn(postgres):
    """dlt's destination, except that merges of one table wait for each other."""

    @property
    def destination_type(self) -> str:
        """Return dlt's name: it is the same destination."""
        return POSTGRES

    @property
    def client_class(self) -> Any:  # noqa: ANN401 - dlt's client is imported only when it is used
        """Return dlt's client with this merge."""
        from dlt.destinations.impl.postgres.postgres import PostgresClient  # noqa: PLC0415 - needs the driver

        class Client(PostgresClient):
            def _create_merge_followup_jobs(
                self, table_chain: Sequence[PreparedTableSchema]
            ) -> list[FollowupJobRequest]:
                return [_MergeInTurn.from_table_chain(table_chain, self.sql_client)]

        return Client
