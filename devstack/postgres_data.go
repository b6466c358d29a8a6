package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Names inside a home folder.
const (
	dataName     = "data"
	lockName     = "lock"
	logName      = "postgres.log"
	pidName      = "postmaster.pid"
	passwordName = "tandem.password" // inside data: renamed into place together with it
)

const superuser = "postgres"

// initialise makes the data folder in <place>/data unless it is there. It is
// built aside and renamed when complete: an initdb cut short leaves nothing
// that could be mistaken for a database.
func (pg *Postgres) initialise(ctx context.Context, place string) error {
	aside, err := filepath.Glob(filepath.Join(place, "init-*"))
	if err != nil {
		return err
	}
	for _, dir := range aside {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove a half-made database: %w", err)
		}
	}
	pg.data = filepath.Join(place, dataName)
	if _, err := dataMajor(pg.data); err == nil {
		return pg.account.own(pg.data)
	} else if !os.IsNotExist(err) {
		return fmt.Errorf("read the database folder: %w", err)
	}

	work, err := os.MkdirTemp(place, "init-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := pg.initdb(ctx, work); err != nil {
		return fmt.Errorf("initdb: %w", err)
	}
	return os.Rename(filepath.Join(work, dataName), pg.data)
}

// initdb asks for a password on loopback too: with trust, every user of this
// machine could become the database's superuser and run programs as us.
func (pg *Postgres) initdb(ctx context.Context, work string) error {
	fresh, password := filepath.Join(work, dataName), filepath.Join(work, "password")
	if err := os.WriteFile(password, []byte(rand.Text()), 0o600); err != nil {
		return err
	}
	if err := pg.account.own(work); err != nil {
		return err
	}
	args := []string{
		"-D", fresh, "-U", superuser, "--pwfile", password,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
	}
	if pg.ephemeral {
		args = append(args, "--no-sync")
	}
	c := command{
		path: pg.binaries.path("initdb"), args: args, dir: work, out: pg.log,
		user: pg.account, deathSignal: syscall.SIGTERM,
	}
	if err := c.run(ctx); err != nil {
		return fmt.Errorf("%w; %s", err, logTail(pg.log.Name()))
	}
	return os.Rename(password, filepath.Join(fresh, passwordName))
}

// dataMajor reads which major version made the data folder.
func dataMajor(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// temporaryHome makes a folder the server's user can reach, and clears away
// those of callers that were killed.
func temporaryHome() (string, error) {
	var failed error
	for _, base := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		info, err := os.Stat(base)
		if err != nil || os.Geteuid() == 0 && info.Mode().Perm()&0o001 == 0 {
			continue
		}
		sweep(filepath.Join(base, homePrefix+"*"), isAbandoned)
		home, err := os.MkdirTemp(base, homePrefix)
		if err == nil {
			return home, os.Chmod(home, 0o755) // what is inside has its own, tighter modes
		}
		failed = errors.Join(failed, err)
	}
	return "", fmt.Errorf("make a temporary folder for Postgres: %w", failed)
}
