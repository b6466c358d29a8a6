package db

import (
	"context"
	"reflect"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/tandem-sync/tandem"
)

// judge finds what is to be done about each state, in their order, and does it unless the run is a plan. A finding
// without a kind is a customer that is equal on both sides.
//
// It looks without locks first: whole books are mostly equal, and locking a row writes it. Only what has something to do
// is then held and judged once more, since it may have changed in between. A run that mostly creates has found nothing
// to spare by that look, and holds all at once.
func (s *Store) judge(ctx context.Context, tx *sqlx.Tx, in intake) ([]tandem.Finding, error) {
	if len(in.states) == 0 {
		return nil, nil
	}
	found := make([]tandem.Finding, len(in.states))
	todo := make([]int, len(in.states))
	for i := range todo {
		todo[i] = i
	}
	if in.run.Plan || !in.mostlyCreates() {
		var err error
		if todo, err = s.look(ctx, tx, in, found); err != nil || in.run.Plan || len(todo) == 0 {
			return found, err
		}
	}
	return found, s.hold(ctx, tx, in, todo, found)
}

// mostlyCreates reports whether most customers of the run so far were made by it. Then nearly every state of the next
// page has something to do, and there are few rows that being held would write for nothing.
func (in intake) mostlyCreates() bool { return 2*in.run.Counts.Created > in.run.Counts.Customers }

// look judges without locks, writes nothing, and names the states that have something to do.
func (s *Store) look(ctx context.Context, tx *sqlx.Tx, in intake, found []tandem.Finding) (todo []int, err error) {
	j, err := s.judging(ctx, tx, in, in.states, false)
	if err != nil {
		return nil, err
	}
	for i, state := range in.states { // what the batch collects is thrown away
		var do bool
		if found[i], do = j.one(state); do {
			todo = append(todo, i)
		}
	}
	return todo, nil
}

// hold judges with locks, and writes.
func (s *Store) hold(ctx context.Context, tx *sqlx.Tx, in intake, todo []int, found []tandem.Finding) error {
	states := make([]tandem.RemoteState, 0, len(todo))
	for _, i := range todo {
		states = append(states, in.states[i])
	}
	j, err := s.judging(ctx, tx, in, states, true)
	if err != nil {
		return err
	}
	for i, state := range states {
		found[todo[i]], _ = j.one(state)
	}
	return j.batch.flush(ctx, tx)
}

// judging is one pass over the states of an intake. The world goes along with what is decided, so that two states in one
// intake see each other, in a plan too.
type judging struct {
	*world
	in     intake
	emails map[string]int // how many active customers have them, as far as that matters
	batch  *batch
}

// judging loads what the pass needs to know about the states.
func (s *Store) judging(ctx context.Context, tx *sqlx.Tx, in intake, states []tandem.RemoteState, lock bool) (judging, error) {
	w, err := s.load(ctx, tx, states, lock)
	if err != nil {
		return judging{}, err
	}
	emails, err := in.sameEmails(ctx, tx, w)
	return judging{world: w, in: in, emails: emails, batch: newBatch()}, err
}

func (j judging) one(s tandem.RemoteState) (f tandem.Finding, do bool) {
	v := j.view(s)
	d := j.decide(s, v)
	f = tandem.Finding{
		Kind: d.Kind, RemoteID: s.RemoteID, Reason: d.Reason, CustomerID: j.about(d, v),
		Done: d.Do && !j.in.run.Plan && d.Kind != tandem.FoundConflict, // a conflict is noted, and waits for a person
	}
	for _, e := range d.Journal {
		f.Changes = append(f.Changes, e.Changes...)
	}
	if !d.Do || j.stands(d.Decision) {
		return f, false
	}
	j.take(j.batch, s, &d.Decision, j.in.work)
	if d.Act == tandem.ActImport {
		j.emails[s.Fields.Email]++
	}
	if d.Mapping != nil && !j.in.run.Plan { // in a plan a new customer's id names nobody
		f.CustomerID = d.Mapping.CustomerID
	}
	return f, true
}

// decide is Judge for what the list has. What was asked about one by one may be deleted as well.
func (j judging) decide(s tandem.RemoteState, v tandem.View) tandem.Judged {
	if !s.Deleted {
		return j.in.run.Judge(s, v, j.emails[s.Fields.Email], j.policy)
	}
	out := tandem.Judged{Decision: tandem.Decide(s, v, j.policy), Do: true}
	if out.State == tandem.EventApplied {
		out.Kind = tandem.FoundArchived
	}
	return out
}

// about names the customer that a finding is about, of those that are there.
func (j judging) about(d tandem.Judged, v tandem.View) string {
	for _, pair := range []*tandem.Pair{v.Linked, v.Named, v.External} {
		if pair != nil && !pair.Customer.CreatedAt.IsZero() && d.Kind != "" {
			return pair.Customer.ID
		}
	}
	return ""
}

// stands reports whether the decision asks for what is there already. A mapping that waits for Outbound must not be
// written again: its call may be in flight, and the answer counts on the version it began with.
func (j judging) stands(d tandem.Decision) bool {
	if d.Customer != nil || d.Mapping == nil || len(d.Journal) > 0 {
		return false
	}
	live := j.byCustomer[d.Mapping.CustomerID]
	return live != nil && reflect.DeepEqual(*live, *d.Mapping)
}

// sameEmails counts the active customers that have the e-mails of remote customers that nobody here knows. Two are as
// good as many.
func (in intake) sameEmails(ctx context.Context, tx *sqlx.Tx, w *world) (map[string]int, error) {
	known := map[string]int{}
	if !in.run.MatchEmail {
		return known, nil
	}
	for _, s := range in.states {
		if w.byRemote[s.RemoteID] == nil && s.Fields.Email != "" {
			known[s.Fields.Email] = 0
		}
	}
	emails := make([]string, 0, len(known))
	for email := range known {
		emails = append(emails, email)
	}
	var rows []struct {
		Email string `db:"email"`
		Count int    `db:"customers"`
	}
	err := tx.SelectContext(ctx, &rows, `
		SELECT e.email, c.customers FROM unnest($1::text[]) AS e (email)
		CROSS JOIN LATERAL (
		  SELECT count(*) AS customers
		  FROM (SELECT 1 FROM (SELECT status FROM customers WHERE email = e.email OFFSET 0) s WHERE s.status = 'active' LIMIT 2) two) c
		WHERE c.customers > 0`, pq.Array(emails))
	for _, row := range rows {
		known[row.Email] = row.Count
	}
	return known, translate(err)
}
