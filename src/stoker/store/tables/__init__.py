"""The tables as SQLAlchemy sees them, by subject. A test compares them with the migrations."""
