#!/bin/sh
# pg_backup.sh backup|restore: what the backupbot labels call in db. The dump is
# in the volume, beside the server's own files, and complete as soon as it has its name.
set -eu
dump=/var/lib/postgresql/backup.sql
loading="${POSTGRES_DB}_loading"

sql() { psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" "$@"; }

case "$1" in
backup)
	pg_dump --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --file="$dump.tmp"
	mv "$dump.tmp" "$dump"
	;;
restore)
	# Loaded aside: a dump that is broken costs nothing of what is there.
	sql --dbname=postgres --command="DROP DATABASE IF EXISTS \"$loading\" WITH (FORCE)"
	sql --dbname=postgres --command="CREATE DATABASE \"$loading\" TEMPLATE template0"
	sql --dbname="$loading" --single-transaction --output=/dev/null --file="$dump"
	# FORCE ends the app's sessions, and none can begin before the name is there again.
	sql --dbname=postgres --command="DROP DATABASE IF EXISTS \"$POSTGRES_DB\" WITH (FORCE)"
	sql --dbname=postgres --command="ALTER DATABASE \"$loading\" RENAME TO \"$POSTGRES_DB\""
	;;
*)
	echo "usage: $0 backup|restore" >&2
	exit 2
	;;
esac
