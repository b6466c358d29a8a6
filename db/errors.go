package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/lib/pq"

	"github.com/tandem-sync/tandem"
)

// codeRace marks a transaction that lost against another one and has to start over.
const codeRace = "database_race"

// What the server says about prepared statements that are not what we think they are. See prepared.go.
const (
	noSuchStatement = "26000"
	statementExists = "42P05"
	planOutdated    = "0A000"
)

// byConstraint is what breaking a named rule means to a caller.
var byConstraint = map[string]tandem.Error{
	"customers_external_id_active": {Class: tandem.Conflict, Code: tandem.CodeExternalIDTaken, Message: "another active customer has this external_id"},
	"customers_pkey":               {Class: tandem.Conflict, Code: tandem.CodeCustomerExists, Message: "a customer with this id exists"},
	"mappings_customer_live":       {Class: tandem.Transient, Code: codeRace, Message: "the customer was linked at the same time"},
	"mappings_remote_live":         {Class: tandem.Transient, Code: codeRace, Message: "the remote customer was linked at the same time"},
	"reconcile_runs_one_open":      {Class: tandem.Conflict, Code: tandem.CodeRunOpen, Message: "the provider has a run that has not ended"},
	"journal_change_once":          {Class: tandem.Transient, Code: codeRace, Message: "the change was made at the same time"},
}

// translate turns a driver error into ours: by constraint name, then by SQLSTATE class. Never by text.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*tandem.Error](err); ok {
		return err
	}
	if pgErr, ok := errors.AsType[*pq.Error](err); ok {
		return fromPostgres(pgErr)
	}
	if _, ok := errors.AsType[net.Error](err); ok || isConnection(err) {
		return &tandem.Error{Class: tandem.Transient, Code: tandem.CodeUnavailable, Message: "the database cannot be reached", Err: err}
	}
	return &tandem.Error{Class: tandem.Bug, Code: tandem.CodeInternal, Message: "unexpected database error", Err: err}
}

func isConnection(err error) bool {
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, sql.ErrConnDone, driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, known) {
			return true
		}
	}
	_, isOp := errors.AsType[*net.OpError](err)
	return isOp
}

func fromPostgres(err *pq.Error) error {
	if e, ok := byConstraint[err.Constraint]; ok && err.Code.Class() == "23" {
		e.Err = err
		return &e
	}
	switch err.Code {
	case noSuchStatement, statementExists, planOutdated:
		return &tandem.Error{Class: tandem.Transient, Code: codeRace, Message: "the prepared statement was lost", Err: err}
	}
	switch err.Code.Class() {
	case "08", "53", "57": // connection, resources, operator intervention (shutdown, restart)
		return &tandem.Error{Class: tandem.Transient, Code: tandem.CodeUnavailable, Message: "the database is not available", Err: err}
	case "25": // read-only while a standby takes over
		return &tandem.Error{Class: tandem.Transient, Code: tandem.CodeUnavailable, Message: "the database does not take writes", Err: err}
	case "55": // a lock was waited for as long as was said: waiting again at once is not what was meant
		return &tandem.Error{Class: tandem.Transient, Code: tandem.CodeUnavailable, Message: "a row is held by somebody else", Err: err}
	case "40": // serialization, deadlock
		return &tandem.Error{Class: tandem.Transient, Code: codeRace, Message: "lost against another transaction", Err: err}
	}
	return &tandem.Error{Class: tandem.Bug, Code: tandem.CodeInternal, Message: "the database refused a statement (" + string(err.Code) + " " + err.Constraint + ")", Err: err}
}

// ambiguousCommit is a commit that failed. A constraint that was broken at commit is an answer; a broken connection is
// none: the commit may have happened.
func ambiguousCommit(err error) error {
	if _, ok := errors.AsType[*pq.Error](err); ok {
		return translate(err)
	}
	return &tandem.Error{Class: tandem.Ambiguous, Code: tandem.CodeUnavailable, Message: "the connection broke while committing", Err: err}
}

func notFound(code, what string) error {
	return &tandem.Error{Class: tandem.Invalid, Code: code, Message: what + " does not exist"}
}
