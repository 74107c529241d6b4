"""Run by alembic, inside the transaction that `tc_core.store.engine.migrate` opened."""

from alembic import context

from tc_core.store.engine.migrate import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    render_as_batch=True,
    transactional_ddl=False,  # the transaction is the caller's
)
context.run_migrations()
