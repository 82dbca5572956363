"""Records over time: sessions in a SQL database, and what they add up to.

SQLite in a file, or PostgreSQL for a fleet. Nothing here is imported unless a history is asked for:
SQLAlchemy and Alembic are of the extra `history`, the driver of PostgreSQL of the extra `postgresql`.
"""
