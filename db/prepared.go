package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/lib/pq"
)

// preparing has the server parse and plan the statements of our transactions once per connection rather than each time.
// They are few, long and always the same; without this, half of what a webhook cost Postgres was reading them again.
// Lists for people stand outside of transactions and go as text: their filters are optional, so each is planned for
// what it asks.
type preparing struct {
	driver.Connector
	off *atomic.Bool
}

// Connect opens a connection that remembers its statements.
func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	raw, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := raw.(pqConn)
	if !ok {
		return nil, fmt.Errorf("open a connection: %T does not do what lib/pq's connections do", raw)
	}
	if _, err := conn.ExecContext(ctx, withoutJIT, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("set up a connection: %w", err), conn.Close())
	}
	return &preparedConn{pqConn: conn, off: p.off, statements: map[string]*statement{}}, nil
}

// withoutJIT keeps the server from compiling our statements. Each looks a thousand rows up at the most, through an index;
// but before a table has statistics the planner takes that for a lot, and compiled for 330 ms what then ran for 7. It is
// said here rather than in the URL because poolers refuse parameters that they do not know.
const withoutJIT = `SET jit = off`

type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
	driver.NamedValueChecker
}

type preparedConn struct {
	pqConn
	off        *atomic.Bool
	acts       bool                  // a transaction is open
	statements map[string]*statement // by their text
}

// BeginTx implements driver.ConnBeginTx.
func (c *preparedConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := c.pqConn.BeginTx(ctx, opts)
	c.acts = err == nil
	return preparedTx{tx, c}, err
}

type preparedTx struct {
	driver.Tx
	conn *preparedConn
}

// Commit implements driver.Tx.
func (t preparedTx) Commit() error {
	t.conn.acts = false
	return t.Tx.Commit()
}

// Rollback implements driver.Tx.
func (t preparedTx) Rollback() error {
	t.conn.acts = false
	return t.Tx.Rollback()
}

// statement is what a connection has seen of one text.
type statement struct {
	driver.Stmt     // nil the first time: some are used once
	uses, until int // how often; when it is planned anew
}

// A plan that is kept is a plan for the tables as they were. One that was made while a table was empty reads all of it,
// which is right then and ruinous 10,000 rows later, so plans are made anew: often at first, when tables may be
// growing fast, and then rarely enough to cost nothing.
const (
	usesOfFirstPlan = 16
	usesOfAnyPlan   = 512
)

// statementsAtMost is several times what there are; texts that somebody makes as he goes must not fill the server.
const statementsAtMost = 256

// prepared is the statement to run, nil for one that is better sent as text.
func (c *preparedConn) prepared(ctx context.Context, query string, args []driver.NamedValue) (driver.Stmt, error) {
	if !c.acts || len(args) == 0 || c.off.Load() {
		return nil, nil
	}
	s := c.statements[query]
	switch {
	case s == nil && len(c.statements) >= statementsAtMost:
		return nil, nil
	case s == nil:
		s = &statement{}
		c.statements[query] = s
	}
	if s.uses++; s.uses == 1 || s.uses < s.until {
		return s.Stmt, nil
	}
	if s.Stmt != nil {
		if err := s.Close(); err != nil {
			return nil, err
		}
	}
	stmt, err := c.PrepareContext(ctx, query)
	if err != nil {
		delete(c.statements, query)
		return nil, c.heard(query, err)
	}
	s.Stmt, s.until = stmt, s.uses+min(max(s.uses, usesOfFirstPlan), usesOfAnyPlan)
	return stmt, nil
}

// heard learns from errors. A pooler that gives out another connection per transaction, and does not carry prepared
// statements along, has them missing or made twice: then statements go as text from now on. A plan may also have
// been outdated by a migration: then it is made anew the next time.
func (c *preparedConn) heard(query string, err error) error {
	pgErr, ok := errors.AsType[*pq.Error](err)
	switch {
	case !ok:
	case pgErr.Code == noSuchStatement || pgErr.Code == statementExists:
		c.off.Store(true)
	case pgErr.Code == planOutdated:
		delete(c.statements, query)
	}
	return err
}

// QueryContext implements driver.QueryerContext.
func (c *preparedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.prepared(ctx, query, args)
	if err != nil {
		return nil, err
	}
	if s, ok := s.(driver.StmtQueryContext); ok {
		rows, err := s.QueryContext(ctx, args)
		return rows, c.heard(query, err)
	}
	return c.pqConn.QueryContext(ctx, query, args)
}

// ExecContext implements driver.ExecerContext.
func (c *preparedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.prepared(ctx, query, args)
	if err != nil {
		return nil, err
	}
	if s, ok := s.(driver.StmtExecContext); ok {
		result, err := s.ExecContext(ctx, args)
		return result, c.heard(query, err)
	}
	return c.pqConn.ExecContext(ctx, query, args)
}
