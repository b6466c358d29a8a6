package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	embedded "github.com/fergusstrange/embedded-postgres"
)

const oldestPostgres = 13

// binaries is a folder with initdb and postgres of one major version.
type binaries struct {
	dir   string
	major int
}

func (b binaries) path(name string) string { return filepath.Join(b.dir, name) }

// postgresPlaces lists where distributions, packagers and installers put servers.
var postgresPlaces = []string{
	"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
	"/usr/pgsql-*/bin",          // Red Hat, Fedora
	"/usr/libexec/postgresql*",  // Alpine
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

// findPostgres returns the binaries to use: those on PATH, else the newest
// installed, else a downloaded copy. Data made by one major version can only be
// read by the same, so major, unless 0, overrides those preferences.
func findPostgres(ctx context.Context, acc *account, major int) (binaries, error) {
	var dirs []string
	if onPath, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(onPath))
	}
	for _, pattern := range postgresPlaces {
		found, _ := filepath.Glob(pattern)
		dirs = append(dirs, found...)
	}
	if best, ok := bestOf(ctx, dirs, acc, major); ok {
		return best, nil
	}
	dir, err := downloadPostgres(ctx)
	if err == nil {
		best, ok := bestOf(ctx, []string{dir}, acc, major)
		if ok {
			return best, nil
		}
		err = errors.New("the downloaded copy does not fit")
	}
	want := fmt.Sprintf("version %d or newer", oldestPostgres)
	if major != 0 {
		want = fmt.Sprintf("version %d, which made the data,", major)
	}
	return binaries{}, fmt.Errorf("no Postgres %s on this machine and none to download (%w); "+
		"install it: apt-get install postgresql, or brew install postgresql@17", want, err)
}

func bestOf(ctx context.Context, dirs []string, acc *account, major int) (binaries, bool) {
	var best binaries
	for _, dir := range dirs {
		b := binaries{dir: dir}
		var err error
		if b.major, err = majorVersion(ctx, b, acc); err != nil || b.major < oldestPostgres {
			continue
		}
		if b.major == major {
			return b, true
		}
		if major == 0 && b.major > best.major {
			best = b
		}
	}
	return best, best.dir != ""
}

var versionDigits = regexp.MustCompile(`\d+`)

// majorVersion asks the server itself, as the user who is to run it, and so
// finds out too whether that user may. A folder without initdb has clients only.
func majorVersion(ctx context.Context, b binaries, acc *account) (int, error) {
	if _, err := os.Stat(b.path("initdb")); err != nil {
		return 0, err
	}
	out, err := os.CreateTemp("", "tandem-version-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = errors.Join(out.Close(), os.Remove(out.Name())) }()
	c := command{path: b.path("postgres"), args: []string{"--version"}, dir: "/", out: out, user: acc}
	if err := c.run(ctx); err != nil {
		return 0, err
	}
	said, err := os.ReadFile(out.Name())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(versionDigits.Find(said)))
}

// downloadPostgres fetches binaries once and keeps them in the cache.
func downloadPostgres(ctx context.Context) (string, error) {
	cache, err := cacheDir()
	if os.Geteuid() == 0 {
		cache, err = "/var/cache/tandem", nil // below /root, the user we drop to could not read it
	}
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "postgres-"+string(embedded.V17))
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	lock, err := waitLock(ctx, dir+".lock", "the download of Postgres")
	if err != nil {
		return "", err
	}
	defer lock.release()
	if _, err := os.Stat(filepath.Join(dir, "bin", "initdb")); err != nil {
		if err := fetchPostgres(ctx, dir, ""); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "bin"), nil
}

// fetchPostgres puts a downloaded copy at dir. The library's own way to run a
// server is not used: it cannot drop root, and the server would be no child of
// ours. It has no download alone, so its start is made to fail right after: no
// initdb knows that encoding. It heeds no context either; one that ends leaves
// the download to itself, in a scratch folder.
func fetchPostgres(ctx context.Context, dir, mirror string) error {
	scratch, err := os.MkdirTemp(filepath.Dir(dir), "fetch-")
	if err != nil {
		return err
	}
	port, err := FreePort()
	if err != nil {
		return err
	}
	tree := filepath.Join(scratch, "tree")
	config := embedded.DefaultConfig().Version(embedded.V17).Port(uint32(port)).Encoding("none").Logger(io.Discard).
		CachePath(filepath.Join(scratch, "archive")).RuntimePath(filepath.Join(scratch, "run")).BinariesPath(tree)
	if mirror != "" {
		config = config.BinaryRepositoryURL(mirror)
	}
	fetched := make(chan error, 1)
	go func() {
		defer func() { _ = os.RemoveAll(scratch) }()
		startErr := embedded.NewDatabase(config).Start()
		_, err := os.Stat(filepath.Join(tree, "bin", "initdb"))
		if err != nil {
			fetched <- fmt.Errorf("download: %w", firstLine(startErr))
			return
		}
		fetched <- os.Rename(tree, dir)
	}()
	select {
	case err := <-fetched:
		return err
	case <-ctx.Done():
		return fmt.Errorf("download: %w", ctx.Err())
	}
}

func firstLine(err error) error {
	if err == nil {
		return errors.New("the archive has no initdb")
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(line)
}
