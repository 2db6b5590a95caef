package forge

import (
	"net/url"
	"strings"
)

// RepoOf reads the forge's address and owner/name from the origin of a clone:
//
//	https://git.example.org/owner/name.git
//	https://example.org/git/owner/name
//	git@git.example.org:owner/name.git
//	ssh://git@git.example.org:2222/owner/name.git
//
// A forge that is cloned from by ssh is taken to be at https on the same host.
// Credentials in the origin are dropped, and in no error.
func RepoOf(origin string) (base, repo string, err error) {
	scheme, host, path, ok := splitOrigin(origin)
	if !ok || !isHost(host) {
		return "", "", originError()
	}
	// owner/name are the last two names of the path; the forge is at the rest.
	names := strings.Split(strings.Trim(path, "/"), "/")
	if len(names) < 2 {
		return "", "", originError()
	}
	at := len(names) - 2
	repo = names[at] + "/" + strings.TrimSuffix(names[at+1], ".git")
	base = scheme + "://" + host
	for _, name := range names[:at] {
		base += "/" + name
	}
	if _, _, ok := splitRepo(repo); !ok || !isBasePath(strings.TrimPrefix(base, scheme+"://"+host)) {
		return "", "", originError()
	}
	return base, repo, nil
}

func originError() error {
	return &Error{What: "the clone's origin names no repository on a forge", Tip: "git remote -v shows it; --repo OWNER/NAME names one"}
}

// splitOrigin is where the forge's web pages are, and the path of the repository.
func splitOrigin(origin string) (scheme, host, path string, ok bool) {
	if !strings.Contains(origin, "://") {
		return splitSCP(origin)
	}
	u, err := url.Parse(origin)
	if err != nil || u.Opaque != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.RawPath != "" {
		return "", "", "", false
	}
	switch u.Scheme {
	case "https", "http":
		return u.Scheme, u.Host, u.Path, true
	case "ssh", "git+ssh", "ssh+git":
		host := strings.TrimSuffix(u.Host, ":"+u.Port()) // sshd's port, not that of the pages
		return "https", host, u.Path, isHost(u.Host)
	}
	return "", "", "", false
}

// splitSCP splits user@host:path, which git takes for ssh if no slash comes before
// the colon.
func splitSCP(origin string) (scheme, host, path string, ok bool) {
	host, path, ok = strings.Cut(origin, ":")
	if i := strings.LastIndex(host, "@"); i >= 0 {
		host = host[i+1:]
	}
	return "https", host, path, ok
}
