"""How a database gets its tables: one file for each revision, run by Alembic, forwards only."""
