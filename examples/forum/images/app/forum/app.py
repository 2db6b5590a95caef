"""The web server's part."""

import os

import flask

from . import pages, store


def serve():
    """The app with its tables as this version wants them."""
    version = os.environ["FORUM_VERSION"]
    store.migrate(version)
    app = flask.Flask(__name__)
    with open(os.environ["SECRET_KEY_FILE"]) as handle:
        app.secret_key = handle.read().strip()
    app.config.update(VERSION=version, SESSION_COOKIE_SAMESITE="Lax", MAX_CONTENT_LENGTH=8 << 20)
    app.teardown_appcontext(lambda _: store.close())
    app.register_blueprint(pages.blueprint)
    return app
