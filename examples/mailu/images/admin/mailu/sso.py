"""The web pages: a login, with its rate limit and sessions in redis."""

import secrets

import flask
import redis
from werkzeug.security import check_password_hash

from . import store

LIMIT, PERIOD, SESSION = 30, 60, 3600  # attempts per address, their seconds, a session's seconds

blueprint = flask.Blueprint("sso", __name__)
cache = redis.Redis(host="db", socket_timeout=2, socket_connect_timeout=2)

PAGE = """<!doctype html>
<html lang="en"><head><title>Mailu {{ version }}</title></head><body><h1>Mailu</h1>
{% if email %}<p>{{ email }}</p>{% else %}
<form method="post"><input name="email"><input name="pw" type="password"><button>Sign in</button></form>{% endif %}
<p>{{ note }}</p><footer>Mailu {{ version }}</footer></body></html>
"""


def page(note="", status=200, email=None):
    text = flask.render_template_string(PAGE, note=note, email=email, version=flask.current_app.config["VERSION"])
    return text, status


@blueprint.route("/")
def index():
    key = flask.session.get("key")
    email = cache.get(f"session:{key}") if key else None
    return page(email=email.decode()) if email else flask.redirect("/sso/login")


@blueprint.route("/ping")
def ping():
    return ""


@blueprint.route("/sso/login", methods=["GET"])
def login_form():
    return page()


@blueprint.route("/sso/login", methods=["POST"])
def login():
    address = f"limit:{flask.request.remote_addr}"
    if cache.incr(address) > LIMIT:
        return page("Too many attempts from your address.", 429)
    cache.expire(address, PERIOD)
    email = flask.request.form.get("email", "")
    user = store.user(email)
    if user is None or not user["enabled"] or not check_password_hash(user["password"], flask.request.form.get("pw", "")):
        return page("Wrong e-mail or password", 401)
    flask.session["key"] = secrets.token_urlsafe()
    cache.setex(f"session:{flask.session['key']}", SESSION, email)
    return flask.redirect("/")
