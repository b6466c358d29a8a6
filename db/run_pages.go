package db

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

// statesAtMost bounds the customers of one transaction. Each one that is written takes a slot of the server's lock table,
// which all transactions share (64 for each of some hundred connections, unless configured otherwise): what is written
// at the same time must stay well below it.
const statesAtMost = 1000

// ApplyPages takes pages of the list in: what is decided, the report, the counts and the ranges in one transaction with a
// number of statements that does not depend on the number of customers. At most 1,000 customers come at a time. Errors:
// CodeRunMoved.
func (s *Store) ApplyPages(ctx context.Context, run tandem.BulkRun, pages []tandem.WalkedPage, work tandem.Work) (tandem.BulkRun, error) {
	in := intake{run: run, listed: true, work: work}
	in.run.Ranges = slices.Clone(run.Ranges)
	for _, page := range pages {
		switch {
		case page.Index < 0 || page.Index > len(in.run.Ranges):
			return run, fmt.Errorf("take a page in: the run has %d ranges and none with index %d", len(in.run.Ranges), page.Index)
		case page.Index == len(in.run.Ranges):
			in.run.Ranges = append(in.run.Ranges, page.Range)
		default:
			in.run.Ranges[page.Index] = page.Range
		}
		in.run.Counts.Requests += page.Asked
		in.run.Counts.Pages += min(page.Asked, 1) // a range that was split off is no page
		in.states = append(in.states, page.Items...)
	}
	return s.takeIn(ctx, in)
}

// ApplyAbsent takes in what the provider said about absent ones, with findings about the others, and moves the run. The
// findings are counted by whoever found them. Errors: CodeRunMoved.
func (s *Store) ApplyAbsent(ctx context.Context, run tandem.BulkRun, states []tandem.RemoteState, findings []tandem.Finding, work tandem.Work) (tandem.BulkRun, error) {
	return s.takeIn(ctx, intake{run: run, states: states, findings: findings, work: work})
}

// intake is what one transaction of a run takes in.
type intake struct {
	run      tandem.BulkRun // as it is to be, but for the counts of the states
	states   []tandem.RemoteState
	refused  []tandem.RemoteState // cannot be stored; the findings say so
	findings []tandem.Finding     // that are known already
	listed   bool                 // by the provider's list, rather than asked about one by one
	work     tandem.Work
}

// tooManyToBlame: a page of which no customer can be stored says something about the database, a table of another
// version say. A run that went on would report whole books as rejected.
const tooManyToBlame = 10

// errRehearsed undoes a transaction that was only to show whether it can be done.
var errRehearsed = &tandem.Error{Class: tandem.Transient, Code: "rehearsed", Message: "only rehearsed"}

// takeIn carries an intake out. What the database cannot hold is found out and reported, and stops nobody else. The
// search writes nothing, so that the intake stays one transaction and nothing is counted twice.
func (s *Store) takeIn(ctx context.Context, in intake) (tandem.BulkRun, error) {
	if len(in.states) > statesAtMost {
		return in.run, fmt.Errorf("take pages in: %d customers at once are more than %d", len(in.states), statesAtMost)
	}
	in.states = slices.Clone(in.states)
	for i := range in.states {
		in.states[i].Provider = in.run.Provider
	}
	out, err := s.try(ctx, in, nil)
	if !blamesOne(err) {
		return out, err
	}
	culprits, searched := s.culprits(ctx, in)
	if searched != nil {
		return out, searched
	}
	if len(culprits) == 0 || len(culprits) == len(in.states) && len(culprits) >= tooManyToBlame {
		return out, err
	}
	return s.try(ctx, in.without(culprits), nil)
}

// try carries an intake out in one transaction that ends with end: nil commits it.
func (s *Store) try(ctx context.Context, in intake, end error) (tandem.BulkRun, error) {
	var out tandem.BulkRun
	err := s.inRace(ctx, func(tx *sqlx.Tx) error {
		var err error
		if out, err = s.carryOut(ctx, tx, in); err != nil {
			return err
		}
		chaos.Point("run.before_commit")
		return end
	}, tandem.CodeExternalIDTaken)
	return out, err
}

// carryOut writes in the order that everybody keeps to: the run is held, then customers, and what only runs write.
func (s *Store) carryOut(ctx context.Context, tx *sqlx.Tx, in intake) (tandem.BulkRun, error) {
	if err := holdRun(ctx, tx, in.run); err != nil {
		return in.run, err
	}
	found, err := s.judge(ctx, tx, in)
	if err != nil {
		return in.run, err
	}
	run, findings := in.run, slices.Clone(in.findings)
	for _, f := range found {
		if f.Kind != "" {
			findings = append(findings, f)
		}
		if in.listed || f.Kind != "" {
			tally(&run.Counts, f.Kind)
		}
	}
	if in.listed {
		run.Counts.Customers += len(in.states) + len(in.refused)
		if err := writeSeen(ctx, tx, run, slices.Concat(in.states, in.refused)); err != nil {
			return run, err
		}
	}
	if err := writeFindings(ctx, tx, run.ID, findings); err != nil {
		return run, err
	}
	return moveRun(ctx, tx, run)
}

// blamesOne reports whether a refusal can be about one customer rather than about the moment.
func blamesOne(err error) bool {
	if err == nil || tandem.CodeOf(err) == tandem.CodeRunMoved {
		return false
	}
	class := tandem.ClassOf(err)
	return class == tandem.Invalid || class == tandem.Bug || class == tandem.Conflict
}

// culprit is a remote customer that cannot be stored.
type culprit struct {
	index  int
	reason string
}

// culprits halves the states until each one that the database refuses is alone.
func (s *Store) culprits(ctx context.Context, in intake) ([]culprit, error) {
	_, err := s.try(ctx, in, errRehearsed)
	switch {
	case errors.Is(err, errRehearsed) || len(in.states) == 0:
		return nil, nil
	case !blamesOne(err):
		return nil, err
	case len(in.states) == 1:
		reason := tandem.CodeOf(err)
		if reason == tandem.CodeInternal || reason == "" {
			reason = tandem.ReasonUnprocessable
		}
		return []culprit{{reason: reason}}, nil
	}
	half := len(in.states) / 2
	newer, older := in, in
	newer.states, older.states = in.states[:half], in.states[half:]
	out, err := s.culprits(ctx, newer)
	if err != nil {
		return nil, err
	}
	more, err := s.culprits(ctx, older)
	for _, c := range more {
		out = append(out, culprit{half + c.index, c.reason})
	}
	return out, err
}

// without reports the culprits instead of taking them in.
func (in intake) without(culprits []culprit) intake {
	blamed := make(map[int]bool, len(culprits))
	in.findings = slices.Clone(in.findings)
	for _, c := range culprits {
		blamed[c.index] = true
		state := in.states[c.index]
		state.RemoteID, state.Fields.Email = storable(state.RemoteID), storable(state.Fields.Email)
		in.refused = append(in.refused, state)
		in.findings = append(in.findings, tandem.Finding{Kind: tandem.FoundRejected, RemoteID: state.RemoteID, Reason: c.reason})
		tally(&in.run.Counts, tandem.FoundRejected)
	}
	var rest []tandem.RemoteState
	for i, state := range in.states {
		if !blamed[i] {
			rest = append(rest, state)
		}
	}
	in.states = rest
	return in
}
