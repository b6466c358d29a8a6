package devstack

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lib/pq"
)

// PostgresOptions says where and how a Postgres server runs.
type PostgresOptions struct {
	// DataDir is the server's own folder, made if missing. It may be empty for
	// an ephemeral server, which then has a temporary one, removed by Stop.
	DataDir string
	Port    int // 0: any free one
	// Ephemeral trades durability for speed: nothing is forced to disk.
	Ephemeral bool
	Logger    *slog.Logger
}

// Postgres is a running server.
type Postgres struct {
	home, data string
	temporary  bool
	ephemeral  bool
	port       int
	password   string
	binaries   binaries
	account    *account
	log        *os.File
	lock       *fileLock
	process    *process
	logger     *slog.Logger
	stopOnce   sync.Once
	stopErr    error
}

const postgresStartTimeout = 2 * time.Minute // recovery after a crash takes its time

// StartPostgres starts a server on its data folder, making the folder first if
// need be, and returns when it answers. A server left over by a caller that was
// killed is stopped before. Errors: [PortTakenError], [InUseError], or one that
// carries the end of the server's log.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, postgresStartTimeout)
	defer cancel()
	pg := &Postgres{ephemeral: o.Ephemeral, logger: orDiscard(o.Logger)}
	if err := pg.start(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("start Postgres: %w", err), pg.Stop())
	}
	pg.logger.Info("postgres.started", "port", pg.port, "data_dir", pg.data,
		"version", pg.binaries.major, "took", time.Since(begun).Round(time.Millisecond))
	return pg, nil
}

func (pg *Postgres) start(ctx context.Context, o PostgresOptions) error {
	if o.Port != 0 {
		if err := checkPort("Postgres", o.Port); err != nil {
			return err
		}
	}
	if err := pg.openHome(o.DataDir); err != nil {
		return err
	}
	if err := pg.prepare(ctx); err != nil {
		return err
	}
	return pg.launch(ctx, o.Port)
}

// openHome makes the home folder ours: exists, locked, with a log.
func (pg *Postgres) openHome(dir string) (err error) {
	switch {
	case dir != "":
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if pg.home, err = filepath.EvalSymlinks(dir); err != nil {
			return err
		}
		if pg.home, err = filepath.Abs(pg.home); err != nil {
			return err
		}
	case pg.ephemeral:
		if pg.home, err = temporaryHome(); err != nil {
			return err
		}
		pg.temporary = true
	default:
		return errors.New("DataDir is empty, which only an ephemeral server may have")
	}
	if pg.lock, err = tryLock(filepath.Join(pg.home, lockName), pg.home); err != nil {
		return err
	}
	pg.log, err = openLog(filepath.Join(pg.home, logName))
	return err
}

// prepare finds the binaries and has a database folder that nobody else serves.
func (pg *Postgres) prepare(ctx context.Context) (err error) {
	if pg.account, err = serverAccount(); err != nil {
		return err
	}
	major, _ := dataMajor(filepath.Join(pg.home, dataName)) // 0 when there is no data yet
	if pg.binaries, err = findPostgres(ctx, pg.account, major); err != nil {
		return err
	}
	place, err := pg.account.place(ctx, pg.home, pg.binaries.path("postgres"))
	if err != nil {
		return err
	}
	if place != pg.home {
		pg.logger.Warn("postgres.data_elsewhere", "data_dir", place, "instead_of", pg.home, "user", pg.account.name)
	}
	if err := pg.initialise(ctx, place); err != nil {
		return err
	}
	if err := reapOrphan(ctx, filepath.Join(pg.data, pidName), pg.data, syscall.SIGINT); err != nil {
		return err
	}
	password, err := os.ReadFile(filepath.Join(pg.data, passwordName))
	pg.password = strings.TrimSpace(string(password))
	return err
}

// launch runs the server. Two faults pass by themselves and are tried again: a
// port lost between choosing and using it, and backends of a postmaster that
// was killed, which need a moment to notice.
func (pg *Postgres) launch(ctx context.Context, want int) error {
	for attempt := 1; ; attempt++ {
		port, err := choosePort("Postgres", want)
		if err != nil {
			return err
		}
		pg.port = port
		c := command{
			path: pg.binaries.path("postgres"), args: pg.arguments(), dir: pg.data, out: pg.log,
			user: pg.account, deathSignal: syscall.SIGINT, // a fast, clean shutdown
		}
		if pg.process, err = c.start(); err != nil {
			pg.process = nil
			return err
		}
		err = pg.process.waitReady(ctx, pg.ping)
		if !errors.Is(err, errEndedEarly) {
			return err
		}
		tail := logTail(pg.log.Name())
		passing := strings.Contains(tail, "Address already in use") ||
			strings.Contains(tail, "pre-existing shared memory block")
		if attempt == 5 || !passing {
			return fmt.Errorf("%w; %s", err, tail)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(attempt) * 100 * time.Millisecond):
		}
	}
}

func (pg *Postgres) arguments() []string {
	settings := []string{
		"listen_addresses=" + loopback,
		"unix_socket_directories=", // a socket's path may have 107 bytes; a data folder's is often longer
		"max_connections=200",
		"timezone=UTC",
		"log_timezone=UTC",
	}
	if pg.ephemeral {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off")
	}
	args := []string{"-D", pg.data, "-p", strconv.Itoa(pg.port)}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	return args
}

func (pg *Postgres) ping(ctx context.Context) error {
	db, err := sql.Open("postgres", pg.DSN("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return db.PingContext(ctx)
}

// DSN is the address of a database on this server, for its superuser. The
// database "postgres" is always there.
func (pg *Postgres) DSN(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, pg.password),
		Host:     address(pg.port),
		Path:     database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// PID is the server's process id, for tests that kill it.
func (pg *Postgres) PID() int { return pg.process.cmd.Process.Pid }

// Done is closed when the server has ended, by Stop or by itself.
func (pg *Postgres) Done() <-chan struct{} { return pg.process.done }

// EnsureDatabase makes the database unless it is there; it may be called again,
// and by several at once.
func (pg *Postgres) EnsureDatabase(ctx context.Context, name string) error {
	db, err := sql.Open("postgres", pg.DSN("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(ctx, "CREATE DATABASE "+pq.QuoteIdentifier(name))
	// Two at once may both find it missing; the slower then meets the unique index.
	if pe := (*pq.Error)(nil); errors.As(err, &pe) && (pe.Code == "42P04" || pe.Code == "23505") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// Stop ends the server, cleanly if it can within seconds, by force if not, and
// removes a temporary folder. It may be called again.
func (pg *Postgres) Stop() error {
	pg.stopOnce.Do(func() { pg.stopErr = pg.stop() })
	return pg.stopErr
}

func (pg *Postgres) stop() error {
	if pg.process != nil {
		steps := []signalStep{{syscall.SIGINT, 20 * time.Second}, {syscall.SIGQUIT, 5 * time.Second}}
		if pg.temporary {
			steps = steps[1:] // nobody will read the data again: no need for a checkpoint
		}
		pg.process.stop(steps...)
		pg.logger.Info("postgres.stopped", "port", pg.port)
	}
	var err error
	if pg.log != nil {
		err = pg.log.Close()
	}
	if pg.temporary {
		err = errors.Join(err, os.RemoveAll(pg.home))
	}
	if pg.lock != nil {
		pg.lock.release()
	}
	return err
}
