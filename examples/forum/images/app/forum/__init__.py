"""A forum: people, topics, posts in PostgreSQL, uploads as files."""
