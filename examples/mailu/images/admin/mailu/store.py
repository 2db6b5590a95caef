"""The database: one SQLite file, opened anew for each request and command.

It keeps SQLite's rollback journal (no write-ahead log), so that main.db alone
is the whole truth between transactions, and a file put back under the running
service is read at the next request.
"""

import hashlib
import os
import secrets
import sqlite3
import threading
import uuid

DATA = "/data"
ROUNDS = 260000  # of PBKDF2

current = threading.local()

SCHEMA = """
CREATE TABLE IF NOT EXISTS domain (
    name TEXT PRIMARY KEY,
    max_users INTEGER NOT NULL DEFAULT -1,
    max_aliases INTEGER NOT NULL DEFAULT -1,
    created_at TEXT NOT NULL DEFAULT CURRENT_DATE
);
CREATE TABLE IF NOT EXISTS user (
    localpart TEXT NOT NULL,
    domain_name TEXT NOT NULL REFERENCES domain (name),
    email TEXT PRIMARY KEY,
    password TEXT NOT NULL,
    quota_bytes INTEGER NOT NULL DEFAULT 1000000000,
    global_admin INTEGER NOT NULL DEFAULT 0,
    enabled INTEGER NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL DEFAULT CURRENT_DATE
);
"""


def migrate():
    """Create what is missing in /data."""
    db = sqlite3.connect(os.path.join(DATA, "main.db"))
    with db:
        db.executescript(SCHEMA)
    db.close()
    instance = os.path.join(DATA, "instance")
    if not os.path.exists(instance):
        with open(instance, "w") as handle:
            handle.write(str(uuid.uuid4()))


def db():
    """The connection of the current request or command."""
    if getattr(current, "db", None) is None:
        current.db = sqlite3.connect(os.path.join(DATA, "main.db"))
        current.db.row_factory = sqlite3.Row
        current.db.execute("PRAGMA foreign_keys = ON")
    return current.db


def close():
    """End it: the next one reads the file anew."""
    if getattr(current, "db", None) is not None:
        current.db.close()
        current.db = None


def hashed(password):
    """A password as werkzeug.security writes it, which is slow to import."""
    salt = secrets.token_urlsafe(12)
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), ROUNDS)
    return f"pbkdf2:sha256:{ROUNDS}${salt}${digest.hex()}"


def user(email):
    """The account, or None; a disabled one too."""
    return db().execute("SELECT * FROM user WHERE email = ?", (email,)).fetchone()


def all_of(table):
    """Every row of "domain" or "user", by its key."""
    key = {"domain": "name", "user": "email"}[table]
    return [dict(row) for row in db().execute(f"SELECT * FROM {table} ORDER BY {key}")]
