"""The versions of a history's tables, each with the way from the one before. Alembic runs them."""
