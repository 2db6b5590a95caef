package canary

import "coopcloud.tech/abra-ccci/runner"

// The suites that are weak in one way each, for mutants to survive and for checks
// to object to.
var weak = []Canary{
	{
		Name: "green-after-a-while", Of: "files", Rungs: backup, Trial: Reviewed, Mutants: []string{"mutant_restore_nothing"},
		Wrong: "the check holds by itself once it has been asked a few times",
		Plant: []Edit{{runner.SuiteFile, checkText, `sh = """
store get t${TOKEN} && exit 0
test -e /data/asked2 && { echo "kept ${TOKEN}"; exit 0; }
test -e /data/asked1 && echo > /data/asked2
echo > /data/asked1
exit 4
""", equals = "kept ${TOKEN}", gone_exit = [4]`}},
		Want: Finding{runner.StageMutants, "mutant_restore_nothing", runner.Fail, "survived: text stayed green"},
	},
	{
		Name: "asks-for-anything", Of: "files", Rungs: backup, Trial: Reviewed, Mutants: []string{"mutant_older_snapshot"},
		Wrong: "the check asks for any text, not for the one that was seeded last",
		Plant: []Edit{
			{runner.SuiteFile, `"put", "t${TOKEN}"`, `"put", "shared"`},
			{runner.SuiteFile, checkText, `sh = "store get shared # and never mind ${TOKEN}", contains = "kept", gone_exit = [4]`},
			{runner.SuiteFile, wipeText, `run = ["store", "rm", "shared"]`},
		},
		Want: Finding{runner.StageMutants, "mutant_older_snapshot", runner.Fail, "survived: text stayed green"},
	},
	{
		Name: "asks-for-a-name", Of: "files", Rungs: backup, Trial: Reviewed, Mutants: []string{"mutant_truncated_app_data"},
		Wrong: "the check asks whether there is a file, not what is in it",
		Plant: []Edit{{runner.SuiteFile, checkText, `sh = "test -e /data/texts/t${TOKEN} || exit 4", gone_exit = [4]`}},
		Want:  Finding{runner.StageMutants, "mutant_truncated_app_data", runner.Fail, "survived: text stayed green"},
	},
	{
		Name: "loss-unnoticed", Of: "pair", Rungs: backup, Trial: Reviewed, Until: "mutant_label_removed_app_backupbot_backup_path",
		Mutants: []string{"mutant_drop_path_app_data", "mutant_drop_path_app_media", "mutant_label_removed_app_backupbot_backup_path"},
		Wrong:   "no probe looks at one of the volumes, and one says that it does",
		Plant:   unwatched,
		Want:    Finding{runner.StageMutants, "mutant_drop_path_app_media", runner.Fail, "stayed green"},
	},
	{
		Name: "survivor-reported", Of: "pair", Rungs: backup, Trial: Reviewed, Like: "loss-unnoticed", Until: "mutant_label_removed_app_backupbot_backup_path",
		Wrong: "a mutant survives",
		Plant: unwatched,
		Want:  Finding{StageReview, "mutants_killed", runner.Fail, "the loss of app:/media goes unnoticed"},
	},
	{
		Name: "covers-measured", Of: "pair", Rungs: backup, Trial: Reviewed, Like: "loss-unnoticed", Until: "mutant_label_removed_app_backupbot_backup_path",
		Wrong: "a probe is green without a path that it says it covers",
		Plant: unwatched,
		Want:  Finding{StageReview, "covers_true", runner.Fail, "probe note covers app:/media, and is green without it"},
	},
	{
		Name: "losses-unnoticed", Of: "pair", Rungs: backup, Trial: Reviewed, Like: "loss-unnoticed", Until: "mutant_label_removed_app_backupbot_backup_path",
		Wrong: "no probe looks at either of the volumes that one label saves",
		Plant: unwatched,
		Want:  Finding{runner.StageMutants, "mutant_label_removed_app_backupbot_backup_path", runner.Fail, "survived: note stayed green"},
	},
	{
		Name: "proof-missing", Of: "pair", Rungs: backup, Trial: Reviewed, Like: "loss-unnoticed", Until: "mutant_label_removed_app_backupbot_backup_path",
		Wrong: "files of a saved path come back, and nobody asks the app for them",
		Plant: unwatched,
		Want:  Finding{StageReview, "paths_proven", runner.Fail, "app:/data is saved and not proven to come back"},
	},
	{
		Name: "no-dump-unnoticed", Of: "pair", Rungs: backup, Trial: Reviewed, Until: "mutant_post_hook_skipped_side_restore_post_hook",
		Mutants: []string{"mutant_pre_hook_skipped_side_backup_pre_hook", "mutant_pre_hook_stale_side_backup_pre_hook", "mutant_post_hook_skipped_side_restore_post_hook"},
		Wrong:   "the notes are saved as files: that no dump is made changes nothing",
		Plant:   idle,
		Want:    Finding{runner.StageMutants, "mutant_pre_hook_skipped_side_backup_pre_hook", runner.Fail, "survived: note, picture, text stayed green"},
	},
	{
		Name: "stale-dump-unnoticed", Of: "pair", Rungs: backup, Trial: Reviewed, Like: "no-dump-unnoticed", Until: "mutant_post_hook_skipped_side_restore_post_hook",
		Wrong: "the notes are saved as files: that an old dump is loaded changes nothing",
		Plant: idle,
		Want:  Finding{runner.StageMutants, "mutant_pre_hook_stale_side_backup_pre_hook", runner.Fail, "survived: note, picture, text stayed green"},
	},
	{
		Name: "no-load-unnoticed", Of: "pair", Rungs: backup, Trial: Reviewed, Like: "no-dump-unnoticed", Until: "mutant_post_hook_skipped_side_restore_post_hook",
		Wrong: "the notes are saved as files: that no dump is loaded changes nothing",
		Plant: idle,
		Want:  Finding{runner.StageMutants, "mutant_post_hook_skipped_side_restore_post_hook", runner.Fail, "survived: note, picture, text stayed green"},
	},
	{
		Name: "seeds-elsewhere", Of: "files", Rungs: backup, Trial: Reviewed,
		Wrong: "from the fourth time on, what is seeded lies where nothing is saved",
		Plant: []Edit{
			{runner.SuiteFile, `run = ["store", "put", "t${TOKEN}", "kept ${TOKEN}"]`, `sh = """
test -e /data/third && { echo > /tmp/t${TOKEN}; exit 0; }
test -e /data/second && echo > /data/third
test -e /data/first && echo > /data/second
echo > /data/first
store put t${TOKEN} "kept ${TOKEN}"
"""`},
			{runner.SuiteFile, checkText, `sh = """
test -e /tmp/t${TOKEN} && { echo "kept ${TOKEN}"; exit 0; }
store get t${TOKEN}
""", equals = "kept ${TOKEN}", gone_exit = [4]`},
		},
		Want: Finding{runner.StageMutants, "mutant_placebo_first", runner.Unver, "probe text is red after a restore as it should be"},
	},
	{
		Name: "red-when-cold", Of: "files", Rungs: backup, Trial: Reviewed, Until: "wipe_removes_text",
		Wrong: "the ladder itself is red",
		Plant: []Edit{{runner.SuiteFile, wipeText, `sh = "store rm T${TOKEN} || true"`}},
		Want:  Finding{StageReview, "cold_run", runner.Fail, "wipe_removes_text"},
	},
	{
		Name: "level-not-reached", Of: "files", Rungs: backup, Trial: Reviewed, Like: "red-when-cold", Until: "wipe_removes_text",
		Wrong: "the ladder ends below the level that is claimed",
		Plant: []Edit{{runner.SuiteFile, wipeText, `sh = "store rm T${TOKEN} || true"`}},
		Want:  Finding{StageReview, "levels", runner.Unver, "level 5 is claimed, and install is unver"},
	},
	{
		Name: "backups-switched-off", Of: "files", Trial: Read,
		Wrong: "the head's labels switch backups off",
		Plant: []Edit{{compose, switchOn, `- "backupbot.backup=${ENABLE_BACKUPS:-false}"`}},
		Want:  Finding{StageReview, "labels_no_error", runner.Fail, "data"},
	},
	{
		Name: "exclude-undecided", Of: "files", Trial: Read,
		Wrong: "a volume is left out for a reason that nobody has looked at",
		Plant: []Edit{
			{compose, switchOn, switchOn + nextLabel + `- "backupbot.backup.volumes.data=false"`},
			{runner.SuiteFile, "[[functional]]", "[[exclude]]\nvolume = \"data\"\nreason = \"a cache\"\n\n[[functional]]"},
		},
		Want: Finding{StageReview, "volumes_decided", runner.Unver, "data is excluded"},
	},
	{
		Name: "version-stands-still", Of: "files", Trial: Read,
		Wrong: "the version label is the base's",
		Plant: []Edit{{compose, ".version=" + headVersion, ".version=" + baseVersion}},
		Want:  Finding{StageReview, "version_bumped", runner.Fail, "did not go up"},
	},
	{
		Name: "secret-in-diff", Of: "files", Trial: Read,
		Wrong: "a password stands in the compose file",
		Plant: []Edit{{compose, atData, atData + nextValue + "ADMIN_PASSWORD: vK3nq8Zp4wTx7LbR"}},
		Want:  Finding{StageReview, "no_plaintext_secret", runner.Fail, "ADMIN"},
	},
	{
		Name: "host-bind", Of: "files", Trial: Read,
		Wrong: "a folder of the host is mounted",
		Plant: []Edit{{compose, "- data:/data", "- data:/data" + nextValue + "- /etc:/host"}},
		Want:  Finding{StageReview, "nothing_dangerous", runner.Fail, "/etc"},
	},
	{
		Name: "suite-weakened", Of: "files", Trial: Read,
		Wrong: "the check that compared what came back asks for an exit status alone",
		Plant: []Edit{{runner.SuiteFile, checkText, `run = ["store", "get", "t${TOKEN}"], gone_exit = [4]`}},
		Want:  Finding{StageReview, "suite_not_weakened", runner.Fail, "text"},
	},
}

// unwatched is pair with a suite that looks at notes alone, though it seeds the
// other volumes, too, and says that it covers one of them.
var unwatched = []Edit{
	{runner.SuiteFile, textProbe, ""},
	{runner.SuiteFile, pictureProbe, ""},
	{runner.SuiteFile, `covers = ["side:/dumps"]`, `covers = ["side:/dumps", "app:/media"]`},
	{runner.SuiteFile, `"noted ${TOKEN}"] }]`, `"noted ${TOKEN}"] },
  { service = "app", run = ["store", "put", "t${TOKEN}", "kept ${TOKEN}"] },
  { service = "app", sh = "echo picture ${TOKEN} > /media/p${TOKEN}" }]`},
}

// idle is pair with hooks that nothing depends on: the notes are saved as files.
var idle = []Edit{
	{compose, "path=/dumps", "path=/dumps,/more"},
	{compose, "store load < /dumps/notes", "test -s /dumps/notes && store load < /dumps/notes || true"},
	{runner.SuiteFile, `covers = ["side:/dumps"]`, `covers = ["side:/more"]`},
	{runner.SuiteFile, "\n[[exclude]]\nvolume = \"more\"\nreason = \"the dump makes up for it\"\n", ""},
}
