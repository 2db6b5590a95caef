"""The `flask mailu` commands.

Without Flask: to import it takes longer than all that a command does, and a suite
calls them again and again.
"""

import json
import sys

import click

from . import store


@click.group()
def flask():
    """The part of Flask's own command that is used here"""


@flask.group()
def mailu():
    """Mailu command line"""
    store.migrate()


def add_domain(name):
    store.db().execute("INSERT OR IGNORE INTO domain (name) VALUES (?)", (name,))


def add_user(localpart, domain_name, password, global_admin):
    email = f"{localpart}@{domain_name}"
    if store.user(email):
        raise click.ClickException(f"user {email} exists")
    with store.db() as db:
        add_domain(domain_name)
        db.execute(
            "INSERT INTO user (localpart, domain_name, email, password, global_admin) VALUES (?, ?, ?, ?, ?)",
            (localpart, domain_name, email, store.hashed(password), global_admin),
        )


@mailu.command()
@click.argument("domain_name")
def domain(domain_name):
    """Create a domain"""
    with store.db():
        add_domain(domain_name)


@mailu.command()
@click.argument("localpart")
@click.argument("domain_name")
@click.argument("password")
def user(localpart, domain_name, password):
    """Create a user"""
    add_user(localpart, domain_name, password, False)


@mailu.command()
@click.argument("localpart")
@click.argument("domain_name")
@click.argument("password")
def admin(localpart, domain_name, password):
    """Create an admin user"""
    add_user(localpart, domain_name, password, True)


@mailu.command()
@click.argument("localpart")
@click.argument("domain_name")
@click.argument("password")
def password(localpart, domain_name, password):
    """Change the password of a user"""
    with store.db() as db:
        changed = db.execute(
            "UPDATE user SET password = ? WHERE email = ?",
            (store.hashed(password), f"{localpart}@{domain_name}"),
        )
    if changed.rowcount != 1:
        raise click.ClickException(f"user {localpart}@{domain_name} not found")


@mailu.command("user-delete")
@click.argument("email")
@click.option("-r", "--really", is_flag=True, help="delete it; without this it is only disabled")
def user_delete(email, really):
    """Disable or delete a user"""
    statement = "DELETE FROM user WHERE email = ?" if really else "UPDATE user SET enabled = 0 WHERE email = ?"
    with store.db() as db:
        db.execute(statement, (email,))


@mailu.command("config-export")
@click.option("-s", "--secrets", is_flag=True, help="include password hashes")
@click.option("-j", "--json", "as_json", is_flag=True, help="JSON, not YAML")
@click.option("-o", "--output-file", type=click.File("w"), default=sys.stdout)
@click.argument("only", nargs=-1)
def config_export(secrets, as_json, output_file, only):
    """Export configuration"""
    tables = only or ("domain", "user")
    for name in tables:
        if name not in ("domain", "user"):
            raise click.BadParameter(f"unknown filter {name}")
    config = {name: store.all_of(name) for name in tables}
    for row in config.get("user", []):
        if not secrets:
            del row["password"]
    if as_json:
        text = json.dumps(config, indent=2)
    else:
        import yaml  # takes as long to import as all else

        text = yaml.safe_dump(config, sort_keys=False)
    click.echo(text, file=output_file)
