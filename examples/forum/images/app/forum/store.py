"""What the forum keeps: rows in PostgreSQL, and files in /uploads.

Each request and command has a connection of its own, so that a database that
was restored under the running app is read at the next one.
"""

import hashlib
import hmac
import os
import pathlib
import re
import secrets
import tempfile
import threading
import time

import psycopg2
import psycopg2.extras

MIGRATIONS = pathlib.Path("/app/migrations")
UPLOADS = pathlib.Path("/uploads")
PATIENCE = 60  # seconds for a database that is starting; gunicorn allows a worker more
ROUNDS = 260000  # of PBKDF2
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

current = threading.local()


class Refused(Exception):
    """Why something was not done, in words for the person who asked."""


def connect():
    with open(os.environ["DATABASE_PASSWORD_FILE"]) as handle:
        password = handle.read().strip()
    return psycopg2.connect(
        host=os.environ["DATABASE_HOST"], dbname="forum", user="forum", password=password,
        connect_timeout=5, cursor_factory=psycopg2.extras.DictCursor,
    )


def connect_patiently():
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return connect()
        except psycopg2.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def number(version):
    return tuple(int(part) for part in version.split("."))


def migrate(version):
    """Bring the tables to what version wants, all in one transaction."""
    db = connect_patiently()
    with db, db.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(1)")
        cursor.execute("CREATE TABLE IF NOT EXISTS migrations (version text PRIMARY KEY)")
        cursor.execute("SELECT version FROM migrations")
        done = {row["version"] for row in cursor}
        for file in sorted(MIGRATIONS.glob("*.sql"), key=lambda f: number(f.stem)):
            if file.stem not in done and number(file.stem) <= number(version):
                cursor.execute(file.read_text())
                cursor.execute("INSERT INTO migrations VALUES (%s)", (file.stem,))
    db.close()


def db():
    """The connection of the current request or command."""
    if getattr(current, "db", None) is None:
        current.db = connect()
    return current.db


def close():
    """End it: the next one asks the database anew."""
    if getattr(current, "db", None) is not None:
        current.db.close()
        current.db = None


def rows(statement, *values):
    """Run one statement in a transaction of its own and return what it found."""
    with db() as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def hashed(password, salt=None):
    salt = salt or secrets.token_urlsafe(12)
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), ROUNDS)
    return f"{salt}${digest.hex()}"


def add_user(name, password):
    if not NAME.fullmatch(name):
        raise Refused("a name is made of letters, digits, dots and dashes")
    if not rows("INSERT INTO users (name, password) VALUES (%s, %s) ON CONFLICT DO NOTHING RETURNING id",
                name, hashed(password)):
        raise Refused("there is somebody of that name")


def signs_in(name, password):
    found = rows("SELECT password FROM users WHERE name = %s", name)
    if not found:
        return False
    known = found[0]["password"]
    return hmac.compare_digest(known, hashed(password, known.split("$")[0]))


def add_topic(author, title, body):
    """Open a topic with its first post, and return the topic's slug."""
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:80]
    if not slug or not rows("SELECT 1 FROM users WHERE name = %s", author):
        raise Refused("a topic needs a title and an author")
    with db() as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO topics (slug, title) VALUES (%s, %s) ON CONFLICT DO NOTHING RETURNING id", (slug, title))
        topic = cursor.fetchone()
        if topic is None:
            raise Refused("there is a topic of that title")
        cursor.execute("SELECT add_post(%s, %s, %s)", (topic["id"], author, body))
    return slug


def topics():
    return rows("SELECT slug, title, last_written FROM topic_list ORDER BY last_written DESC LIMIT 50")


def topic(slug):
    """The topic and its posts, or None."""
    found = rows("SELECT id, slug, title FROM topic_list WHERE slug = %s", slug)
    if not found:
        return None
    return found[0], rows("SELECT author, body, written FROM post_list WHERE topic_id = %s ORDER BY id", found[0]["id"])


def reply(slug, author, body):
    found = rows("SELECT id FROM topic_list WHERE slug = %s", slug)
    if not found or not body:
        raise Refused("a reply needs a topic and a text")
    rows("SELECT add_post(%s, %s, %s)", found[0]["id"], author, body)


def save_upload(name, data):
    """Keep a file under its name; half a file never has it."""
    if not NAME.fullmatch(name) or (UPLOADS / name).exists():
        raise Refused("that name cannot be used")
    with tempfile.NamedTemporaryFile(dir=UPLOADS, prefix=".", delete=False) as handle:
        handle.write(data)
    os.rename(handle.name, UPLOADS / name)
