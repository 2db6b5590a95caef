package giteatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Who runs Gitea where the test is root's: it refuses root.
const nobody = 65534

// How long a start may take on a machine that has much else to do.
const patience = 2 * time.Minute

// The account that New and Start make. It is an administrator.
const admin = "steward"

// A Server is a running Gitea. Its methods may be called at the same time.
type Server struct {
	URL string // http://127.0.0.1:PORT

	binary, dir string
	env         []string
	ended       chan struct{} // closed once the process has
	stop        func()

	mu       sync.Mutex
	accounts map[string]account
}

// An account is what a user signs in with.
type account struct{ password, token string }

// New starts a Gitea that ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Start starts a Gitea that the caller closes.
func Start() (*Server, error) {
	binary, static, err := find()
	if err != nil {
		return nil, err
	}
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	// A test's own folder would be in one that only root may enter.
	dir, err := os.MkdirTemp("", "giteatest")
	if err != nil {
		return nil, err
	}
	s := &Server{
		URL:      fmt.Sprintf("http://127.0.0.1:%d", port),
		binary:   binary,
		dir:      dir,
		env:      []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "GITEA_WORK_DIR=" + dir, "LC_ALL=C", "GOGC=400"},
		ended:    make(chan struct{}),
		accounts: map[string]account{},
	}
	if err := errors.Join(s.configure(static, port), s.serve(listener)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := errors.Join(s.ready(), s.makeAdmin()); err != nil {
		log := s.log()
		s.Close()
		return nil, fmt.Errorf("%w\n%s", err, log)
	}
	return s, nil
}

// find is where the program and its templates are.
func find() (binary, static string, err error) {
	root, err := os.Getwd()
	if err != nil {
		return "", "", err
	}
	for dir := root; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			root = dir
			break
		}
		if dir == filepath.Dir(dir) {
			return "", "", fmt.Errorf("no go.mod above %s", root)
		}
	}
	if binary = os.Getenv("CCCI_GITEA"); binary == "" {
		binary = filepath.Join(root, "build", "gitea")
	}
	if _, err := os.Stat(binary); err != nil {
		return "", "", fmt.Errorf("no gitea to test against: %w\nhint: scripts/prepare test builds it; CCCI_GITEA names another", err)
	}
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "code.gitea.io/gitea")
	list.Dir = filepath.Join(root, "tools", "gitea")
	out, err := list.Output()
	if err != nil {
		return "", "", fmt.Errorf("where gitea's templates are: %w", err)
	}
	return binary, strings.TrimSpace(string(out)), nil
}

// What every Gitea of a test is told. The hash is a cheap one: no password
// here is worth more.
const settings = `APP_NAME = test
RUN_MODE = prod
[server]
PROTOCOL = http
HTTP_ADDR = 127.0.0.1
HTTP_PORT = %[3]d
ROOT_URL = http://127.0.0.1:%[3]d/
STATIC_ROOT_PATH = %[2]s
APP_DATA_PATH = %[1]s/data
OFFLINE_MODE = true
DISABLE_SSH = true
[database]
DB_TYPE = sqlite3
PATH = %[1]s/gitea.db
SQLITE_JOURNAL_MODE = WAL
[repository]
ROOT = %[1]s/repositories
DEFAULT_BRANCH = main
[security]
INSTALL_LOCK = true
PASSWORD_HASH_ALGO = pbkdf2$1$10
[service]
DISABLE_REGISTRATION = true
[mailer]
ENABLED = false
[actions]
ENABLED = false
[packages]
ENABLED = false
[indexer]
ISSUE_INDEXER_TYPE = db
[cron]
ENABLED = false
[webhook]
ALLOWED_HOST_LIST = *
[log]
MODE = file
LEVEL = info
ROOT_PATH = %[1]s/log
[session]
PROVIDER = memory
`

func (s *Server) configure(static string, port int) error {
	if err := os.WriteFile(s.config(), fmt.Appendf(nil, settings, s.dir, static, port), 0o600); err != nil {
		return err
	}
	if os.Getuid() != 0 {
		return nil
	}
	return errors.Join(os.Chown(s.dir, nobody, nobody), os.Chown(s.config(), nobody, nobody))
}

func (s *Server) config() string { return filepath.Join(s.dir, "app.ini") }

// command is a Gitea of this server, run as an ordinary user who may read what
// root may: the program and its templates are under root's own folders. env starts
// it, as that right comes with an exec only, and the program's folder needs it.
func (s *Server) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/usr/bin/env", append([]string{"-C", s.dir, s.binary, "--config", s.config()}, args...)...)
	cmd.Env = s.env
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_DAC_READ_SEARCH}
	}
	return cmd
}

// serve starts the server on a socket that is open already: nobody else can
// take its port, and whoever asks too early waits.
func (s *Server) serve(listener *net.TCPListener) error {
	socket, err := listener.File()
	if err != nil {
		return err
	}
	defer socket.Close()
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	cmd := s.command(ctx, "web")
	cmd.ExtraFiles = []*os.File{socket}
	cmd.Env = append(cmd.Env, "LISTEN_FDS=1")
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := os.Create(filepath.Join(s.dir, "out"))
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	started := make(chan error)
	go func() {
		// Pdeathsig is of the thread: this one must live as long as Gitea.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(s.ended)
	}()
	return <-started
}

// ready waits until the API answers.
func (s *Server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/version", nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.ended:
			return errors.New("gitea has ended")
		case <-ctx.Done():
			return errors.New("gitea does not answer")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// makeAdmin makes the account that makes all others.
func (s *Server) makeAdmin() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := s.command(ctx, "admin", "user", "create", "--admin", "--username", admin, "--email", admin+"@example.org",
		"--random-password", "--must-change-password=false", "--access-token", "--access-token-scopes", "all")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("the first account: %w: %s", err, out)
	}
	fields := bytes.Fields(out[max(0, bytes.Index(out, []byte("Access token was successfully created"))):])
	for _, f := range fields {
		if len(f) == 40 {
			s.accounts[admin] = account{token: string(f)}
			return nil
		}
	}
	return errors.New("the first account got no token")
}

// log is the end of what Gitea wrote.
func (s *Server) log() string {
	var tail strings.Builder
	_ = filepath.WalkDir(s.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name != filepath.Join(s.dir, "out") && filepath.Dir(name) != filepath.Join(s.dir, "log") {
			return nil
		}
		data, _ := os.ReadFile(name)
		tail.Write(data[max(0, len(data)-4000):])
		return nil
	})
	return tail.String()
}

// Close ends Gitea and what it started, waits until it is gone, and removes its
// files.
func (s *Server) Close() {
	s.stop()
	<-s.ended
	_ = os.RemoveAll(s.dir)
}
