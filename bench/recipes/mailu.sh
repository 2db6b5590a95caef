# mailu, for ladder.sh: what the suite does, without its checks.
BASE=3.0.1+2024.06.52 HEAD=add-backupbot-labels
SERVICES="app admin imap smtp db"
SECRETS=secret_key
SAVED="mailu mail" # VOLUME[:PATH], in the drill's order

environment() { MAIL_DOMAIN=$DOMAIN HOSTNAMES=$DOMAIN TLS_FLAVOR=notls; }
setup() { run admin flask mailu domain "$DOMAIN"; }
seed() {
	run admin flask mailu user "u$1" "$DOMAIN" "$1"
	run admin flask mailu user "m$1" "$DOMAIN" "$1"
	printf 'Subject: %s\n\nkept %s\n' "$1" "$1" | run smtp sendmail "m$1@$DOMAIN"
	until_true delivered "$1"
}
delivered() { [ -n "$(run imap doveadm search -u "m$1@$DOMAIN" subject "$1")" ]; }
wipe() {
	run imap rm -rf "/mail/m$1@$DOMAIN"
	run admin sqlite3 /data/main.db "DELETE FROM user WHERE localpart='u$1'"
}
