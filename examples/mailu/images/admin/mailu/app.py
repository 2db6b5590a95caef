"""The web server's part."""

import os

import flask

from . import internal, sso, store


def create_app():
    app = flask.Flask(__name__)
    with open(os.environ.get("SECRET_KEY_FILE", "/run/secrets/secret_key")) as handle:
        app.secret_key = handle.read().strip()
    app.config["VERSION"] = os.environ["MAILU_VERSION"]
    store.migrate()
    app.teardown_appcontext(lambda _: store.close())
    app.register_blueprint(internal.blueprint, url_prefix="/internal")
    app.register_blueprint(sso.blueprint)
    return app
