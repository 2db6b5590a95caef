# forum, for ladder.sh: what the suite does, without its checks.
BASE=1.0.0+1.0.0 HEAD=1.1.0+1.1.0
SERVICES="app db"
SECRETS="db_password secret_key"
SAVED="postgres:backup.sql uploads" # VOLUME[:PATH], in the drill's order
AGAIN=postgres:backup.sql           # a dump has no effect before its hook

environment() { :; }
setup() { :; }
seed() {
	run app flask forum user "u$1" "$1"
	printf 'kept %s' "$1" | run app flask forum topic "u$1" "t$1"
	printf 'kept %s' "$1" | run app flask forum upload "$1.txt"
}
wipe() {
	run app rm "/uploads/$1.txt"
	run db psql -qU forum -c "DELETE FROM topics WHERE slug = 't$1'" -c "DELETE FROM users WHERE name = 'u$1'"
}
pre_backup() { run db /pg_backup.sh backup; }
post_restore() { run db /pg_backup.sh restore; }
