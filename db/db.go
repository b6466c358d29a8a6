// Package db keeps Tandem's truth in Postgres: customers, mappings, the ledger, the journal. It implements what the
// other rooms ask of a store, and nothing decides here: the transactions load what tandem.Decide and tandem.PlanNext
// want to know, and write what they answer.
//
// The customer's row is the lock. Whoever writes a customer or a mapping holds that customer's row FOR UPDATE, taken
// in the order of ids, so that transactions queue up instead of deadlocking. A remote customer that has no customer
// yet has no row to lock; whoever takes in what was seen of it holds an advisory lock on its id instead, taken before
// all rows. What still meets is decided by the unique indexes, and the loser starts its transaction over.
//
// Every method is safe to run twice. A commit whose outcome is unknown (lib/pq cannot tell when the connection breaks
// in it) comes back as Ambiguous, and running the method again finds out.
package db

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/oklog/ulid/v2"

	"github.com/tandem-sync/tandem"
)

// Config of the store.
type Config struct {
	URL       string // postgres://…
	MaxConns  int    // 0 is 20
	Policy    tandem.Policy
	Providers []string // a new customer gets a mapping for each of these
}

// Store is the database. It is safe for concurrent use.
type Store struct {
	db         *sqlx.DB
	policy     tandem.Policy
	providers  []string
	deliveries *deliveries
}

// Open connects. It does not migrate.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	dsn, err := withOptions(cfg.URL)
	if err != nil {
		return nil, err
	}
	connector, err := pq.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", translate(err))
	}
	pool := sqlx.NewDb(sql.OpenDB(preparing{connector, &atomic.Bool{}}), "postgres")
	if err := pool.PingContext(ctx); err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", translate(err))
	}
	conns := cfg.MaxConns
	if conns == 0 {
		conns = 20
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	s := &Store{db: pool, policy: cfg.Policy, providers: cfg.Providers}
	s.deliveries = &deliveries{write: s.ingest}
	return s, nil
}

// withOptions adds what the store relies on. binary_parameters makes lib/pq send a query and its parameters in one
// round trip instead of preparing it first; what is worth preparing, and when, is decided in prepared.go.
func withOptions(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || !strings.HasPrefix(u.Scheme, "postgres") {
		return "", &tandem.Error{Class: tandem.Invalid, Code: tandem.CodeInvalidRequest, Message: "the database URL must look like postgres://user@host:5432/name"}
	}
	q := u.Query()
	for k, v := range map[string]string{"binary_parameters": "yes", "connect_timeout": "10", "application_name": "tandem"} {
		if !q.Has(k) {
			q.Set(k, v)
		}
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// Close ends all connections.
func (s *Store) Close() error { return s.db.Close() }

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return translate(s.db.PingContext(ctx)) }

// DB is the pool, for migrations and tests.
func (s *Store) DB() *sqlx.DB { return s.db }

// inTx runs f in one transaction. Statement errors and commit errors come back translated; a failed commit may have
// happened.
func (s *Store) inTx(ctx context.Context, f func(tx *sqlx.Tx) error) error {
	tx, err := s.db.BeginTxx(ctx, &sql.TxOptions{})
	if err != nil {
		return translate(err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit this is sql.ErrTxDone, else the error that brought us here counts
	if err := f(tx); err != nil {
		return translate(err)
	}
	if err := tx.Commit(); err != nil {
		return ambiguousCommit(err)
	}
	return nil
}

// raceRetries is how often a transaction that lost a race for a unique index starts over. The second attempt sees the
// winner's row; a third loss means something else is wrong.
const raceRetries = 3

// inRace is inTx for transactions that insert rows others may insert at the same time. Which codes mean a lost race
// depends on who asks: an external id that is taken is an answer to a caller who wished for it, but to a remote state it
// only means that the customer with that id was not there yet when the transaction looked.
func (s *Store) inRace(ctx context.Context, f func(tx *sqlx.Tx) error, alsoRaces ...string) error {
	var err error
	for range raceRetries {
		err = s.inTx(ctx, f)
		if code := tandem.CodeOf(err); err == nil || code != codeRace && !slices.Contains(alsoRaces, code) {
			return err
		}
	}
	return err
}

// entropy makes ids of one process rise even within a millisecond: the lines of a journal sort by id.
var entropy = &ulid.LockedMonotonicReader{MonotonicReader: ulid.Monotonic(rand.Reader, 0)}

// newID makes an id: prefix + "_" + ULID. Ids sort by the time they were made.
func newID(prefix string) string {
	return prefix + "_" + ulid.MustNew(ulid.Now(), entropy).String()
}
