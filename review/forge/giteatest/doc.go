// Package giteatest runs a real Gitea for tests: an ordinary user's process on
// a loopback port that the kernel chose, with SQLite in a folder of its own, no
// mail and no way out. It ends with the test, and with the test's process,
// however that ends.
//
//	s := giteatest.New(t)
//	s.CreateUser(t, "builder")
//	s.CreateRepo(t, "builder", "mailu", false)
//	s.Push(t, "builder", dir, "builder/mailu", "main", "labels")
//	n := s.OpenPull(t, "builder", "builder/mailu", "labels", "labels", "main")
//
// The program is CCCI_GITEA, else build/gitea: scripts/prepare test builds it.
// Where it is missing the test fails. A start takes one to three seconds; a package
// with many tests shares one Server, which its TestMain closes.
package giteatest
