"""Accounts of a mail server: a small stand-in for Mailu's admin.

The routes under /internal, the `flask mailu` commands and the tables behind
them are named and behave as Mailu's do, as far as the recipe and its suite use them.
"""

import os

import flask

from . import commands, internal, sso, store


def create_app():
    app = flask.Flask(__name__)
    with open(os.environ.get("SECRET_KEY_FILE", "/run/secrets/secret_key")) as handle:
        app.secret_key = handle.read().strip()
    app.config["VERSION"] = os.environ["MAILU_VERSION"]
    store.migrate()
    app.teardown_appcontext(store.close)
    app.register_blueprint(internal.blueprint, url_prefix="/internal")
    app.register_blueprint(sso.blueprint)
    app.cli.add_command(commands.mailu)
    return app
