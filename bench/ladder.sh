#!/bin/bash
# The ladder as a straight line, for comparison: what `abra-ccci test RECIPE`
# does to an app, with the docker and restic commands, and without one check.
#
#   bench/ladder.sh RECIPE CLONE WORK
#
# It deploys the base, seeds, upgrades to the head, seeds and saves twice, wipes,
# restores into the running app, replaces every task, seeds, removes everything,
# deploys the head from nothing, restores one path at a time, does that once more
# for what a hook loads, and removes everything. CLONE is the recipe's git repository; WORK, a folder that is not
# there yet, takes checkouts and repository; recipes/RECIPE.sh says how the app
# is seeded and wiped, and what its labels save. Restic runs on the host, on the
# volumes where they lie. Needs root, git, restic in PATH, and the engine at
# DOCKER_HOST on this machine.
#
# Where it could be made to look slower than it need be, it is not: images are
# deployed by id, so that Swarm asks no registry; services are deployed and
# restarted together; nothing is looked at more often than a wait needs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RECIPE=$1 CLONE=$2 WORK=$3
STACK=straight_$RECIPE DOMAIN=straight-$RECIPE.ci.invalid
PATIENCE=300 # seconds that one wait may take
PAUSE=0.3 # between two looks at what is waited for

AGAIN= # paths that the ladder can measure only on an app that has all but them
pre_backup() { :; }
post_backup() { :; }
pre_restore() { :; }
post_restore() { :; }
# shellcheck source=/dev/null
. "$here/recipes/$RECIPE.sh"

phase() { printf '%s %s\n' "$(date +%s.%N)" "$1" >&2; }

until_true() {
	local end=$((SECONDS + PATIENCE))
	until "$@"; do
		[ $SECONDS -lt $end ] || { echo "ladder.sh: waited for $*" >&2; exit 1; }
		sleep "$PAUSE"
	done
}

# run SERVICE COMMAND...: in the running task of a service.
run() {
	local id
	id=$(docker ps -q --filter "label=com.docker.swarm.service.name=${STACK}_$1" --filter status=running | head -n 1)
	docker exec -i "$id" "${@:2}"
}

# compose FOLDER: what the run needs otherwise: a network of its own for the
# shared proxy, no published ports, images by id, and no virtual IPs where the
# kernel has none.
compose() {
	local ids
	ids=$(sed -n 's/^ *image: *\(.*\)$/\1/p' "$1/compose.yml" | sort -u | while read -r image; do
		printf 's#image: *%s$#image: %s#;' "$image" "$(docker image inspect --format '{{.Id}}' "$image")"
	done)
	awk '/^    ports:/ {skip = 1; next} skip && /^      / {next} {skip = 0; print}' "$1/compose.yml" |
		sed "$ids" >"$1/straight.yml"
	{
		printf 'version: "3.8"\nnetworks:\n  proxy:\n    external: true\n    name: %s_proxy\n' "$STACK"
		if ! grep -qs . /proc/net/ip_vs; then
			printf 'services:\n'
			printf '  %s: {deploy: {endpoint_mode: dnsrr}}\n' $SERVICES
		fi
	} >"$1/own.yml"
}

# checkout REF FOLDER
checkout() {
	mkdir -p "$2"
	git -C "$CLONE" archive "$1" | tar x -C "$2"
	compose "$2"
}

# deploy FOLDER ENVFOLDER: as abra does, with the env of the app's own sample.
deploy() {
	local domain=$DOMAIN
	(
		set -a
		. "$2/.env.sample"
		[ ! -e "$1/abra.sh" ] || . "$1/abra.sh"
		STACK_NAME=$STACK DOMAIN=$domain
		environment
		cd "$1"
		docker stack deploy --prune --resolve-image never -c straight.yml -c own.yml "$STACK" >/dev/null 2>&1
	)
	until_true converged
}

# upgrade FOLDER ENVFOLDER: Swarm takes a moment to begin an update.
upgrade() {
	deploy "$@"
	sleep 1
	until_true converged
}

# converged: every service has its tasks, and no update is on its way.
converged() {
	docker stack services --format '{{.Replicas}}' "$STACK" | awk -F'[/ ]' '$1 != $2 {exit 1}' || return 1
	! docker service inspect --format '{{with .UpdateStatus}}{{.State}}{{end}}' $(docker stack services -q "$STACK") | grep -q updating
}

# replace every task of every service.
restart() {
	local s
	for s in $SERVICES; do
		docker service update --quiet --force --detach "${STACK}_$s" >/dev/null
	done
	sleep 1
	until_true converged
}

containers_gone() { [ -z "$(docker ps -aq --filter "label=com.docker.stack.namespace=$STACK")" ]; }
networks_gone() { [ -z "$(docker network ls -q --filter "label=com.docker.stack.namespace=$STACK")" ]; }

undeploy() {
	docker stack rm "$STACK" >/dev/null
	until_true containers_gone
	local v
	for v in $(docker volume ls -q --filter "label=com.docker.stack.namespace=$STACK"); do
		until_true docker volume rm "$v" >/dev/null 2>&1
	done
	until_true networks_gone
}

saver() { restic --repo "$WORK/repository" --password-file "$WORK/password" --no-cache --quiet "$@"; }

# place VOLUME[:PATH]: where it lies on the host.
place() {
	printf '%s' "$(docker volume inspect --format '{{.Mountpoint}}' "${STACK}_${1%%:*}")"
	case $1 in *:*) printf '/%s' "${1#*:}" ;; esac
}

# backup: sets SNAPSHOT.
backup() {
	local p paths=()
	for p in $SAVED; do paths+=("$(place "$p")"); done
	pre_backup
	saver backup --force --no-scan "${paths[@]}"
	post_backup
}

# restore VOLUME[:PATH]...: the last snapshot's, in one go.
restore() {
	local p includes=()
	for p in "$@"; do includes+=(--include "$(place "$p")"); done
	saver restore latest --target / "${includes[@]}" >/dev/null
}

# The tokens of all seedings, newest first.
tokens=
seed_new() {
	local token
	token=t$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')
	seed "$token" >/dev/null
	tokens="$token $tokens"
}

clean() {
	undeploy
	docker network rm "${STACK}_proxy" >/dev/null
	local s
	for s in $SECRETS; do docker secret rm "${STACK}_${s}_v1" >/dev/null; done
}

# What was cut off leaves nothing behind either.
ended=
trap '[ -n "$ended" ] || { set +e; clean >/dev/null 2>&1; }' EXIT
trap 'exit 130' INT TERM

mkdir "$WORK"
head -c 24 /dev/urandom | base64 >"$WORK/password"

phase upgrade
docker network create --driver overlay "${STACK}_proxy" >/dev/null
for s in $SECRETS; do
	head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' | docker secret create "${STACK}_${s}_v1" - >/dev/null
done
checkout "$BASE" "$WORK/base"
checkout "$HEAD" "$WORK/head"
deploy "$WORK/base" "$WORK/base"
setup >/dev/null
seed_new
upgrade "$WORK/head" "$WORK/base"

phase backup
saver init
seed_new
backup
seed_new
backup

phase restore
for t in $tokens; do wipe "$t" >/dev/null; done
pre_restore
restore $SAVED
post_restore
restart
seed_new

phase install
undeploy
deploy "$WORK/head" "$WORK/head"
setup >/dev/null

phase drill
pre_restore
for p in $SAVED; do restore "$p"; done
post_restore
for again in $AGAIN; do
	undeploy
	deploy "$WORK/head" "$WORK/head"
	setup >/dev/null
	pre_restore
	for p in $SAVED; do [ "$p" = "$again" ] || restore "$p"; done
	post_restore 2>/dev/null || true # there is nothing to load yet
	restore "$again"
	post_restore
done

phase teardown
clean
ended=yes
phase end
