"""A forum: people, topics, posts in PostgreSQL, uploads as files."""

import os

import flask

from . import commands, pages, store


def create_app():
    app = flask.Flask(__name__)
    with open(os.environ["SECRET_KEY_FILE"]) as handle:
        app.secret_key = handle.read().strip()
    app.config.update(VERSION=os.environ["FORUM_VERSION"], SESSION_COOKIE_SAMESITE="Lax", MAX_CONTENT_LENGTH=8 << 20)
    app.teardown_appcontext(store.close)
    app.register_blueprint(pages.blueprint)
    app.cli.add_command(commands.forum)
    return app


def serve():
    """The app with its tables as this version wants them."""
    store.migrate(os.environ["FORUM_VERSION"])
    return create_app()
