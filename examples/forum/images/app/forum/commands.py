"""The `flask forum` commands."""

import sys

import click
import flask.cli

from . import store


@click.group(cls=flask.cli.AppGroup)
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
