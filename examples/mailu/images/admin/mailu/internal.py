"""What the other services ask; the front does not pass it on."""

import urllib.parse

import flask
from werkzeug.security import check_password_hash

from . import store

blueprint = flask.Blueprint("internal", __name__)


@blueprint.route("/dovecot/userdb/")
def dovecot_userdb_list():
    return flask.jsonify([row["email"] for row in store.all_of("user") if row["enabled"]])


@blueprint.route("/dovecot/userdb/<path:email>")
def dovecot_userdb(email):
    user = store.user(email)
    if user is None or not user["enabled"]:
        flask.abort(404)
    return flask.jsonify({"quota_rule": f"*:bytes={user['quota_bytes']}"})


@blueprint.route("/auth/email")
def auth_email():
    """Who may log in, in the words of nginx's mail auth protocol."""
    email = urllib.parse.unquote(flask.request.headers.get("Auth-User", ""))
    password = urllib.parse.unquote(flask.request.headers.get("Auth-Pass", ""))
    user = store.user(email)
    good = user is not None and user["enabled"] and check_password_hash(user["password"], password)
    response = flask.Response()
    response.headers["Auth-Status"] = "OK" if good else "Authentication credentials invalid"
    return response
