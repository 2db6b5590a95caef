#!/bin/bash
set -e
BACKUP_FILE=/var/lib/postgresql/data/backup.sql

backup() {
  pg_dump -U "$POSTGRES_USER" "$POSTGRES_DB" > "$BACKUP_FILE.tmp"
  mv "$BACKUP_FILE.tmp" "$BACKUP_FILE"
}

restore() {
  psql -U "$POSTGRES_USER" -1 -f "$BACKUP_FILE"
}

"$@"
