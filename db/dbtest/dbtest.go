// Package dbtest gives every test a database of its own on a real Postgres. The server is started once per test
// binary, with nothing forced to disk, unless TANDEM_TEST_POSTGRES names one that may be used; the schema is migrated
// once into a template, and each test gets a copy of that.
//
//	func TestMain(m *testing.M) { dbtest.Main(m) }
//
//	func TestX(t *testing.T) {
//		store := dbtest.New(t, dbtest.Policy)
//	}
package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db"
	"github.com/tandem-sync/tandem/devstack"
)

// Policy is what tests use unless they test policies.
var Policy = tandem.Policy{Environment: "test", ClockTolerance: time.Second}

// Main runs the tests and stops the server they started.
func Main(m *testing.M) {
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop Postgres:", err)
		code = 1
	}
	os.Exit(code)
}

// New returns a store on a fresh database, which is dropped when the test ends.
func New(t testing.TB, policy tandem.Policy, providers ...string) *db.Store {
	t.Helper()
	if len(providers) == 0 {
		providers = []string{"stripe"}
	}
	store, err := db.Open(t.Context(), db.Config{URL: NewURL(t), Policy: policy, Providers: providers})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// NewURL returns the URL of a fresh, migrated database.
func NewURL(t testing.TB) string {
	t.Helper()
	require.NoError(t, shared.start(), "Postgres for tests")
	return newDatabase(t, shared.template)
}

// NewEmptyURL returns the URL of a fresh database without a schema, for tests of the migrations.
func NewEmptyURL(t testing.TB) string {
	t.Helper()
	require.NoError(t, shared.start(), "Postgres for tests")
	return newDatabase(t, "template0")
}

func newDatabase(t testing.TB, template string) string {
	t.Helper()
	name := "tandem_" + strings.ToLower(ulid.Make().String())
	admin := shared.admin
	// Copying needs the template to itself; creating is quick, so tests take turns.
	shared.copying.Lock()
	_, err := admin.ExecContext(t.Context(), `CREATE DATABASE `+name+` TEMPLATE `+template)
	shared.copying.Unlock()
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.ExecContext(context.Background(), `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`)
		require.NoError(t, err)
	})
	return shared.url(name)
}

type server struct {
	once     sync.Once
	err      error
	postgres *devstack.Postgres
	given    string
	template string
	admin    *sql.DB
	copying  sync.Mutex
}

var shared server

func (s *server) start() error {
	s.once.Do(func() { s.err = s.startOnce() })
	return s.err
}

func (s *server) startOnce() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s.given = os.Getenv("TANDEM_TEST_POSTGRES")
	if s.given == "" {
		pg, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{Ephemeral: true})
		if err != nil {
			return err
		}
		s.postgres = pg
	}
	var err error
	if s.admin, err = sql.Open("postgres", s.url("postgres")); err != nil {
		return err
	}
	s.template = "tandem_template_" + strings.ToLower(ulid.Make().String())
	if _, err := s.admin.ExecContext(ctx, `CREATE DATABASE `+s.template); err != nil {
		return err
	}
	store, err := db.Open(ctx, db.Config{URL: s.url(s.template)})
	if err != nil {
		return err
	}
	if _, err := store.Migrate(ctx); err != nil {
		return err
	}
	return store.Close()
}

func (s *server) url(name string) string {
	if s.postgres != nil {
		return s.postgres.DSN(name)
	}
	u, err := url.Parse(s.given)
	if err != nil {
		return s.given
	}
	u.Path = "/" + name
	return u.String()
}

func (s *server) stop() error {
	if s.admin == nil {
		return nil
	}
	_, err := s.admin.ExecContext(context.Background(), `DROP DATABASE IF EXISTS `+s.template+` WITH (FORCE)`)
	if closeErr := s.admin.Close(); err == nil {
		err = closeErr
	}
	if s.postgres != nil {
		if stopErr := s.postgres.Stop(); err == nil {
			err = stopErr
		}
	}
	return err
}
