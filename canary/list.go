package canary

import "coopcloud.tech/abra-ccci/runner"

const (
	compose    = "compose.yml"
	gone       = "exit 4 says that it is gone"
	serve      = `entrypoint: ["store"]`
	checkText  = `run = ["store", "get", "t${TOKEN}"], equals = "kept ${TOKEN}", gone_exit = [4]`
	wipeText   = `run = ["store", "rm", "t${TOKEN}"]`
	preHook    = "store dump > /data/dump"
	postHook   = "store load < /data/dump"
	switchOn   = `- "backupbot.backup=${ENABLE_BACKUPS:-true}"`
	atData     = "STORE_DIR: /data"
	nextLabel  = "\n        "
	nextValue  = "\n      "
	knownValue = "a-value-that-is-no-secret-any-more"
)

var (
	install = []string{runner.RungInstall}
	upgrade = []string{runner.RungUpgrade}
	backup  = []string{runner.RungBackupRestore}
)

// all is the table. What it wants is written down once more in the tests of
// the selftest command, and compared.
var all = []Canary{
	{
		Name: "does-not-start", Of: "files", Rungs: install,
		Wrong: "the app ends at once",
		Plant: []Edit{{compose, `command: ["serve"]`, `command: ["sreve"]`}},
		Want:  Finding{runner.RungInstall, "install_deploys_head", runner.Fail, `"sreve" is no command`},
	},
	{
		Name: "never-healthy", Of: "files", Rungs: install,
		Wrong: "the healthcheck asks a port on which nobody listens",
		Plant: []Edit{{compose, `"store", "health"]`, `"store", "health", "8081"]`}, {compose, "retries: 10", "retries: 2"}},
		Want:  Finding{runner.RungInstall, "install_deploys_head", runner.Fail, "unhealthy"},
	},
	{
		Name: "image-missing", Of: "files", Rungs: install,
		Wrong: "the image is nowhere to be had",
		Plant: []Edit{{compose, imageMark, "localhost:1/ccci/missing:1"}},
		Want:  Finding{runner.RungInstall, "install_deploys_head", runner.Unver, "image not to be had"},
	},
	{
		Name: "upgrade-loses-data", Of: "files", Rungs: upgrade,
		Wrong: "the head looks for its data in another place, and nothing moves it there",
		Plant: []Edit{{compose, atData, "STORE_DIR: /data/v2"}},
		Want:  Finding{runner.RungUpgrade, "upgrade_keeps_text", runner.Fail, gone},
	},
	{
		Name: "upgrade-rolled-back", Of: "files", Rungs: upgrade,
		Wrong: "the head does not start, and Swarm goes back to the base",
		Plant: []Edit{{compose, `command: ["serve"]`, `command: ["serve", "faster"]`}},
		Want:  Finding{runner.RungUpgrade, "upgrade_moves_to_head", runner.Fail, "rolled back"},
	},
	{
		Name: "labels-never-reach", Of: "files", Rungs: backup,
		Wrong: "only a new line of .env.sample loads the labels: apps already deployed never get them",
		Plant: []Edit{
			{compose, nextLabel + switchOn, ""},
			{"compose.backup.yml", "", "version: \"3.8\"\nservices:\n  app:\n    deploy:\n      labels:\n        - \"backupbot.backup=true\"\n"},
			{".env.sample", `COMPOSE_FILE="compose.yml"`, `COMPOSE_FILE="compose.yml:compose.backup.yml"`},
		},
		Want: Finding{runner.RungBackupRestore, "backup_labels", runner.Fail, "existing-apps-unsaved"},
	},
	{
		Name: "path-outside-volumes", Of: "files", Rungs: backup,
		Wrong: "the label's path is on no volume",
		Plant: []Edit{{compose, switchOn, switchOn + nextLabel + `- "backupbot.backup.path=/var/lib/store"`}},
		Want:  Finding{runner.RungBackupRestore, "backup_labels", runner.Fail, "path-outside-mount"},
	},
	{
		Name: "partial-volume", Of: "files", Rungs: backup,
		Wrong: "only a part of the volume is saved",
		Plant: []Edit{{compose, switchOn, switchOn + nextLabel + `- "backupbot.backup.volumes.data.path=texts"`}},
		Want:  Finding{runner.RungBackupRestore, "volume_complete_data", runner.Fail, "journal is missing"},
	},
	{
		Name: "writable-layer", Of: "files", Rungs: backup,
		Wrong: "the app keeps its data in the container's writable layer",
		Plant: []Edit{{compose, atData, "STORE_DIR: /store"}},
		Want:  Finding{runner.RungBackupRestore, "restore_returns_text", runner.Fail, "writes to /store of service app (the container's writable layer)"},
	},
	{
		Name: "data-volume-excluded", Of: "pair", Rungs: backup,
		Wrong: "the volume that holds the data is excluded, with a reason that is not true",
		Plant: []Edit{
			{compose, "path=/data,/media", "path=/media"},
			{runner.SuiteFile, "[[functional]]", "[[exclude]]\nvolume = \"data\"\nreason = \"a cache, filled again on start\"\n\n[[functional]]"},
		},
		Want: Finding{runner.RungBackupRestore, "restore_returns_text", runner.Fail, "no label saves app:/data, which it covers"},
	},
	{
		Name: "dump-once", Of: "dump", Rungs: backup,
		Wrong: "the hook dumps only if there is no dump yet",
		Plant: []Edit{{compose, preHook, "test -s /data/dump || " + preHook}},
		Want:  Finding{runner.RungBackupRestore, "backup_captures_app_data_dump", runner.Fail, "the pre-hook did not write it"},
	},
	{
		Name: "dump-nowhere", Of: "dump", Rungs: backup,
		Wrong: "the dump is written where nothing is saved",
		Plant: []Edit{{compose, preHook, "store dump > /tmp/dump"}},
		Want:  Finding{runner.RungBackupRestore, "backup_snapshot_first", runner.Fail, `nothing to back up at "dump" in volume "data"`},
	},
	{
		Name: "restore-hook-swallows", Of: "dump", Rungs: backup,
		Wrong: "the hook that loads the dump reads another file, and swallows the error",
		Plant: []Edit{{compose, postHook, "store load < /data/dumps || true"}},
		Want:  Finding{runner.RungBackupRestore, "restore_returns_text", runner.Fail, gone},
	},
	{
		Name: "wipe-removes-nothing", Of: "files", Rungs: backup,
		Wrong: "the wipe removes a text that was never there, and does not mind",
		Plant: []Edit{{runner.SuiteFile, wipeText, `sh = "store rm T${TOKEN} || true"`}},
		Want:  Finding{runner.RungBackupRestore, "wipe_removes_text", runner.Fail, "the wipe removed nothing"},
	},
	{
		Name: "wipe-stops-service", Of: "files", Rungs: backup, Slow: true,
		Wrong: "the wipe stops the app instead of removing the data",
		Plant: []Edit{
			{compose, serve, `entrypoint: ["sh", "-c", "store serve; exec /abra-ccci inside sleep"]`},
			{compose, "retries: 10", "retries: 1000"},
			{runner.SuiteFile, wipeText, `sh = "store stop || true"`},
		},
		Want: Finding{runner.RungBackupRestore, "wipe_removes_text", runner.Unver, "gives an error, which proves nothing"},
	},
	{
		Name: "check-never-looks", Of: "files", Rungs: backup,
		Wrong: "the check looks at what it says itself",
		Plant: []Edit{{runner.SuiteFile, checkText, `sh = "echo kept ${TOKEN}", equals = "kept ${TOKEN}"`}},
		Want:  Finding{runner.RungBackupRestore, "wipe_removes_text", runner.Fail, "holds for a token that was never seeded"},
	},
	{
		Name: "content-recreated", Of: "files", Rungs: backup,
		Wrong: "the check is content with what the app makes up for whatever it is asked for",
		Plant: []Edit{
			{compose, atData, atData + nextValue + "STORE_FAULT: recreate"},
			{runner.SuiteFile, `equals = "kept ${TOKEN}"`, `contains = "${TOKEN}"`},
		},
		Want: Finding{runner.RungBackupRestore, "drill_starts_empty_text", runner.Fail, "something else satisfies it"},
	},
	{
		Name: "covers-untrue", Of: "pair", Rungs: backup,
		Wrong: "the one probe says that it covers a volume on which it does not depend",
		Plant: []Edit{
			{runner.SuiteFile, `covers = ["app:/data"]`, `covers = ["app:/data", "app:/media"]`},
			{runner.SuiteFile, pictureProbe, ""},
		},
		Want: Finding{runner.RungBackupRestore, "drill_proves_app_media", runner.Unver, "is green without it"},
	},
	{
		Name: "old-memory", Of: "files", Rungs: backup,
		Wrong: "when it stops, the app writes its old memory over what was restored",
		Plant: []Edit{{compose, atData, atData + nextValue + "STORE_FAULT: writeback"}},
		Want:  Finding{runner.RungBackupRestore, "restore_survives_restart_text", runner.Fail, gone},
	},
	{
		Name: "wrong-owner", Of: "dump", Rungs: backup, Slow: true,
		Wrong: "the dump is loaded as root, and the app can't read what is root's",
		Plant: []Edit{{compose, postHook, "STORE_USER=0 " + postHook}},
		Want:  Finding{runner.RungBackupRestore, "restore_returns_text", runner.Fail, "permission denied"},
	},
	{
		Name: "secret-in-log", Of: "files", Rungs: install,
		Wrong: "the app says its secret in its log",
		Plant: []Edit{{compose, serve, `entrypoint: ["sh", "-c", "read key < /run/secrets/key; echo starting with key $$key; exec store serve"]`}},
		Want:  Finding{FlagNoSecretLeak, "no_secret_leak", runner.Fail, "key (plain) in the log of app"},
	},
	{
		Name: "secret-in-env", Of: "files", Rungs: install,
		Wrong: "the secret's value is also in a plain variable",
		Plant: []Edit{
			{compose, atData, atData + nextValue + "STORE_KEY: ${STORE_KEY}"},
			{".env.sample", "DOMAIN=", "STORE_KEY=\nDOMAIN="},
			{runner.SuiteFile, "[deploy]", "[deploy]\nenv = { STORE_KEY = \"" + knownValue + "\" }\nsecrets = { key = \"" + knownValue + "\" }"},
		},
		Want: Finding{FlagNoSecretLeak, "no_secret_leak", runner.Fail, "key (plain) in"},
	},
	{
		Name: "volume-left-behind", Of: "files", Rungs: install,
		Wrong:    "the tool's own teardown forgets the volumes",
		Sabotage: forgetVolumes,
		Want:     Finding{FlagCleanTeardown, "clean_teardown", runner.Fail, "left on the engine: volume"},
	},
	{
		Name: "lint-rule-broken", Of: "files", Rungs: []string{runner.RungLint},
		Wrong: "traefik is not told of the app",
		Plant: []Edit{{compose, `- "traefik.enable=true"` + nextLabel, ""}},
		Want:  Finding{runner.RungLint, "lint_r010", runner.Fail, "traefik.enable=true"},
	},
}

const textProbe = `[[probe]]
name   = "text"
covers = ["app:/data"]
seed   = [{ service = "app", run = ["store", "put", "t${TOKEN}", "kept ${TOKEN}"] }]
check  = [{ service = "app", run = ["store", "get", "t${TOKEN}"], equals = "kept ${TOKEN}", gone_exit = [4] }]
wipe   = [{ service = "app", run = ["store", "rm", "t${TOKEN}"] }]
`

const pictureProbe = `[[probe]]
name   = "picture"
covers = ["app:/media"]
seed   = [{ service = "app", sh = "echo picture ${TOKEN} > /media/p${TOKEN}" }]
check  = [{ service = "app", sh = "test -e /media/p${TOKEN} || exit 4; read x < /media/p${TOKEN}; echo $x", equals = "picture ${TOKEN}", gone_exit = [4] }]
wipe   = [{ service = "app", sh = "echo > /media/p${TOKEN}" }]
`
