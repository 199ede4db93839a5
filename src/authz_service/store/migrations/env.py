"""Run by Alembic: migrates the connection that store/migrate.py passes in, within its transaction."""

from alembic import context

from authz_service.store.migrate import VERSIONS_TABLE
from authz_service.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSIONS_TABLE,
    transactional_ddl=False,  # the transaction is ours: one for all revisions, on both databases
)
context.run_migrations()
