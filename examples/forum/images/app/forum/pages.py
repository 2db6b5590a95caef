"""The web pages."""

import flask

from . import store

blueprint = flask.Blueprint("pages", __name__)

PAGE = """<!doctype html>
<html lang="en"><head><title>{{ title }}</title></head><body><h1>{{ title }}</h1>
<p>{{ note }}</p>{{ main }}<footer>Forum {{ config.VERSION }}</footer></body></html>
"""
FRONT = """<ul>{% for t in topics %}<li><a href="/topics/{{ t.slug }}">{{ t.title }}</a> {{ t.last_written }}</li>{% endfor %}</ul>
{% if session.name %}<form method="post" action="/topics"><input name="title"><textarea name="body"></textarea><button>Open a topic</button></form>
<form method="post" action="/uploads" enctype="multipart/form-data"><input name="file" type="file"><button>Upload</button></form>
{% else %}<form method="post" action="/login"><input name="name"><input name="password" type="password"><button>Sign in</button></form>{% endif %}
"""
TOPIC = """{% for p in posts %}<article><b>{{ p.author }}</b>: {{ p.body }}</article>
{% endfor %}{% if session.name %}<form method="post"><textarea name="body"></textarea><button>Reply</button></form>{% endif %}
"""


def page(title, template, note="", status=200, **values):
    main = flask.Markup(flask.render_template_string(template, **values))
    return flask.render_template_string(PAGE, title=title, note=note, main=main), status


def front(note="", status=200):
    return page("Forum", FRONT, note, status, topics=store.topics())


def author():
    """Who is signed in; nobody gets no further."""
    if "name" not in flask.session:
        flask.abort(401)
    return flask.session["name"]


@blueprint.errorhandler(store.Refused)
def refused(why):
    return front(str(why), 409)


@blueprint.route("/health")
def health():
    return "ok\n"


@blueprint.route("/")
def index():
    return front()


@blueprint.route("/login", methods=["POST"])
def login():
    name = flask.request.form.get("name", "")
    if not store.signs_in(name, flask.request.form.get("password", "")):
        return front("Wrong name or password.", 401)
    flask.session["name"] = name
    return flask.redirect("/", 303)


@blueprint.route("/topics", methods=["POST"])
def open_topic():
    slug = store.add_topic(author(), flask.request.form.get("title", ""), flask.request.form.get("body", ""))
    return flask.redirect(f"/topics/{slug}", 303)


@blueprint.route("/topics/<slug>")
def topic(slug):
    found = store.topic(slug)
    if found is None:
        flask.abort(404)
    return page(found[0]["title"], TOPIC, posts=found[1])


@blueprint.route("/topics/<slug>", methods=["POST"])
def reply(slug):
    store.reply(slug, author(), flask.request.form.get("body", ""))
    return flask.redirect(f"/topics/{slug}", 303)


@blueprint.route("/uploads", methods=["POST"])
def upload():
    author()
    file = flask.request.files["file"]
    store.save_upload(file.filename, file.read())
    return flask.redirect(f"/uploads/{file.filename}", 303)


@blueprint.route("/uploads/<name>")
def uploaded(name):
    # As plain bytes: what people upload is not run in other people's browsers.
    return flask.send_from_directory(store.UPLOADS, name, mimetype="application/octet-stream", as_attachment=True)
