"""The `flask forum` commands.

Without Flask: to import it takes longer than all that a command does, and a suite
calls them again and again.
"""

import sys

import click

from . import store


@click.group()
def flask():
    """The part of Flask's own command that is used here"""


@flask.group()
def forum():
    """Forum command line"""


def refusing(do, *values):
    try:
        do(*values)
    except store.Refused as why:
        raise click.ClickException(str(why)) from None


@forum.command()
@click.argument("name")
@click.argument("password")
def user(name, password):
    """Add a user"""
    refusing(store.add_user, name, password)


@forum.command()
@click.argument("author")
@click.argument("title")
def topic(author, title):
    """Open a topic; its first post is read from stdin"""
    refusing(store.add_topic, author, title, sys.stdin.read())


@forum.command()
@click.argument("name")
def upload(name):
    """Keep a file, which is read from stdin"""
    refusing(store.save_upload, name, sys.stdin.buffer.read())
