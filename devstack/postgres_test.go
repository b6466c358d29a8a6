package devstack

import (
	"context"
	"database/sql"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func startPostgres(t *testing.T, o PostgresOptions) *Postgres {
	t.Helper()
	o.Logger = testLogger(t)
	pg, err := StartPostgres(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pg.Stop()) })
	return pg
}

func ask(t *testing.T, pg *Postgres, database, query string) string {
	t.Helper()
	db, err := sql.Open("postgres", pg.DSN(database))
	require.NoError(t, err)
	defer func() { _ = db.Close() }()
	var answer string
	require.NoError(t, db.QueryRowContext(t.Context(), query).Scan(&answer))
	return answer
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	t.Run("keeps its data over a restart", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		pg := startPostgres(t, PostgresOptions{DataDir: dir})
		require.NoError(t, pg.EnsureDatabase(t.Context(), "tandem"))
		require.NoError(t, pg.EnsureDatabase(t.Context(), "tandem"), "again is fine")
		ask(t, pg, "tandem", "CREATE TABLE kept AS SELECT 'still here' AS word; SELECT 'ok'")
		require.Equal(t, "on", ask(t, pg, "tandem", "SHOW fsync"))
		require.Equal(t, "UTF8", ask(t, pg, "tandem", "SHOW server_encoding"))
		require.Equal(t, "UTC", ask(t, pg, "tandem", "SHOW timezone"))
		require.NoError(t, pg.Stop())
		require.NoError(t, pg.Stop(), "again is fine")
		requireGone(t, pg.PID())

		pg = startPostgres(t, PostgresOptions{DataDir: dir})
		require.Equal(t, "still here", ask(t, pg, "tandem", "SELECT word FROM kept"))
	})
	t.Run("two ephemeral ones at once leave no folder", func(t *testing.T) {
		t.Parallel()
		one, two := startPostgres(t, PostgresOptions{Ephemeral: true}), startPostgres(t, PostgresOptions{Ephemeral: true})
		require.NotEqual(t, one.port, two.port)
		require.Equal(t, "off", ask(t, one, "postgres", "SHOW fsync"))
		require.Equal(t, loopback, ask(t, two, "postgres", "SHOW listen_addresses"))
		require.NoError(t, one.Stop())
		require.NoDirExists(t, one.home)
		require.Equal(t, "1", ask(t, two, "postgres", "SELECT 1"))
	})
	t.Run("asks for the password", func(t *testing.T) {
		t.Parallel()
		pg := startPostgres(t, PostgresOptions{Ephemeral: true})
		pg.password = "wrong"
		require.ErrorContains(t, pg.ping(t.Context()), "password authentication failed")
	})
	t.Run("takes a port it is given, and names it when taken", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
		require.NoError(t, err)
		port := l.Addr().(*net.TCPAddr).Port
		_, err = StartPostgres(t.Context(), PostgresOptions{Ephemeral: true, Port: port})
		var taken *PortTakenError
		require.ErrorAs(t, err, &taken)
		require.Equal(t, PortTakenError{Name: "Postgres", Port: port}, *taken)
		require.NoError(t, l.Close())
		require.Equal(t, port, startPostgres(t, PostgresOptions{Ephemeral: true, Port: port}).port)
	})
	t.Run("is for one caller at a time", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		startPostgres(t, PostgresOptions{DataDir: dir, Ephemeral: true})
		_, err := StartPostgres(t.Context(), PostgresOptions{DataDir: dir, Ephemeral: true})
		var inUse *InUseError
		require.ErrorAs(t, err, &inUse)
		require.Equal(t, os.Getpid(), inUse.PID)
	})
	t.Run("a cancelled search for a folder says so, and blames none", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := (&account{name: "somebody", uid: 65534, gid: 65534}).place(ctx, t.TempDir(), "/bin/true")
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("a cancelled start leaves nothing", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // amid initdb
		defer cancel()
		_, err := StartPostgres(ctx, PostgresOptions{DataDir: dir})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoDirExists(t, filepath.Join(dir, dataName))
		startPostgres(t, PostgresOptions{DataDir: dir, Ephemeral: true})
	})
	t.Run("clears a half-made database and a stale process id", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		half := filepath.Join(dir, "init-123")
		require.NoError(t, os.MkdirAll(half, 0o700))
		pg := startPostgres(t, PostgresOptions{DataDir: dir, Ephemeral: true})
		require.NoDirExists(t, half)
		require.NoError(t, pg.Stop())
		// Postgres itself would refuse: a live process of its own user has that id.
		rival := startPostgres(t, PostgresOptions{Ephemeral: true}).PID()
		pidFile := filepath.Join(dir, dataName, pidName)
		require.NoError(t, os.WriteFile(pidFile, []byte(strconv.Itoa(rival)+"\n"), 0o600))
		startPostgres(t, PostgresOptions{DataDir: dir, Ephemeral: true})
		require.NotEmpty(t, commandLine(rival))
	})
	t.Run("starts again on its port after a kill", func(t *testing.T) {
		t.Parallel()
		o := PostgresOptions{DataDir: openDir(t)}
		pg := startPostgres(t, o)
		ask(t, pg, "postgres", "CREATE TABLE kept AS SELECT 'still here' AS word; SELECT 'ok'")
		db, err := sql.Open("postgres", pg.DSN("postgres"))
		require.NoError(t, err)
		defer func() { _ = db.Close() }()
		require.NoError(t, db.PingContext(t.Context())) // a backend that outlives its postmaster a little

		require.NoError(t, syscall.Kill(pg.PID(), syscall.SIGKILL))
		<-pg.Done()
		require.NoError(t, pg.Stop())
		o.Port = pg.port
		pg = startPostgres(t, o)
		require.Equal(t, "still here", ask(t, pg, "postgres", "SELECT word FROM kept"))
	})
	t.Run("says why it did not start", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		require.NoError(t, startPostgres(t, PostgresOptions{DataDir: dir, Ephemeral: true}).Stop())
		conf := filepath.Join(dir, dataName, "postgresql.conf")
		require.NoError(t, os.WriteFile(conf, []byte("no_such_setting = 1\n"), 0o600))
		_, err := StartPostgres(t.Context(), PostgresOptions{DataDir: dir})
		require.ErrorContains(t, err, "no_such_setting")
	})
	t.Run("a folder its user cannot enter is served from elsewhere", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() != 0 {
			t.Skip("only root has an unprivileged server user")
		}
		dir := t.TempDir() // below a folder only root may enter
		pg := startPostgres(t, PostgresOptions{DataDir: dir, Ephemeral: true})
		away := filepath.Dir(pg.data)
		require.NotEqual(t, dir, away)
		ask(t, pg, "postgres", "CREATE TABLE kept AS SELECT 'here' AS word; SELECT 'ok'")
		require.NoError(t, pg.Stop())
		pg = startPostgres(t, PostgresOptions{DataDir: dir, Ephemeral: true})
		require.Equal(t, "here", ask(t, pg, "postgres", "SELECT word FROM kept"))
		require.NoError(t, pg.Stop())

		require.False(t, isForsaken(away))
		require.NoError(t, os.RemoveAll(dir))
		require.True(t, isForsaken(away))
		require.NoError(t, os.RemoveAll(away))
	})
}

func TestPostgresOutlivesNobody(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	caller, server := startCaller(t, "postgres:"+dir)
	require.Contains(t, commandLine(server), dir)
	kill(t, caller)
	if canSignalOnDeath {
		requireGone(t, server)
	}
	startPostgres(t, PostgresOptions{DataDir: dir, Ephemeral: true})

	t.Run("an orphan is stopped by the next start", func(t *testing.T) {
		dir := openDir(t)
		caller, server := startCaller(t, "postgres:"+dir)
		// Held still, it cannot act on the death signal and outlives its caller,
		// as it does where there is no such signal.
		require.NoError(t, syscall.Kill(server, syscall.SIGSTOP))
		kill(t, caller)
		require.NotEmpty(t, commandLine(server))
		require.NoError(t, syscall.Kill(server, syscall.SIGCONT))
		startPostgres(t, PostgresOptions{DataDir: dir, Ephemeral: true})
		requireGone(t, server)
	})
}
