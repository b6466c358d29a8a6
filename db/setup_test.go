package db_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db"
	"github.com/tandem-sync/tandem/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// bundle is a store on a database of its own, and the words tests use about it.
type bundle struct {
	*db.Store
	t   testing.TB
	ctx context.Context
}

func setup(t testing.TB, providers ...string) *bundle {
	t.Helper()
	return &bundle{Store: dbtest.New(t, dbtest.Policy, providers...), t: t, ctx: t.Context()}
}

// epoch is the provider's time that tests count seconds from.
var epoch = time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)

func at(second int) time.Time { return epoch.Add(time.Duration(second) * time.Second) }

func ptr[T any](v T) *T { return &v }

var work = tandem.Work{Cause: tandem.Cause{Kind: tandem.ByWebhook, ID: "evt_cause"}, WorkflowID: "inbound/stripe/cus_1", RunID: "run"}

func apiWork(ch tandem.Change) tandem.Work {
	return tandem.Work{Cause: tandem.Cause{Kind: tandem.ByAPI, ID: ch.ID}, WorkflowID: "outbound/" + ch.CustomerID}
}

func customerID() string { return "cust_" + ulid.Make().String() }

func creation(fields tandem.Patch) tandem.Change {
	return tandem.Change{ID: "chg_" + ulid.Make().String(), Kind: tandem.ChangeCreate, CustomerID: customerID(), Patch: fields}
}

func update(id string, fields tandem.Patch) tandem.Change {
	return tandem.Change{ID: "chg_" + ulid.Make().String(), Kind: tandem.ChangeUpdate, CustomerID: id, Patch: fields}
}

// change applies a change that has to work.
func (b *bundle) change(ch tandem.Change) tandem.Customer {
	b.t.Helper()
	c, err := b.ApplyChange(b.ctx, ch, apiWork(ch))
	require.NoError(b.t, err)
	return c
}

func (b *bundle) created(name, email string) tandem.Customer {
	b.t.Helper()
	return b.change(creation(tandem.Patch{Name: &name, Email: &email}))
}

// linked is a customer whose create has been answered by remoteID at second 10.
func (b *bundle) linked(remoteID string) tandem.Customer {
	b.t.Helper()
	c := b.created("Ada", "ada@example.com")
	call := b.plan(c.ID)
	require.Equal(b.t, tandem.EventApplied, b.apply(answer(call, remoteID, 10)).State)
	return c
}

func (b *bundle) plan(id string) tandem.Call {
	b.t.Helper()
	call, err := b.Plan(b.ctx, id, "stripe", tandem.Ask{})
	require.NoError(b.t, err)
	return call
}

// planAfterLook plans when the remote customer was looked at just now.
func (b *bundle) planAfterLook(id string) tandem.Call {
	b.t.Helper()
	call, err := b.Plan(b.ctx, id, "stripe", tandem.Ask{Looked: true})
	require.NoError(b.t, err)
	return call
}

func (b *bundle) apply(s tandem.RemoteState) tandem.Outcome {
	b.t.Helper()
	out, err := b.ApplyRemote(b.ctx, []tandem.RemoteState{s}, work)
	require.NoError(b.t, err)
	require.Len(b.t, out, 1)
	return out[0]
}

// answer is what the provider says to a create, or to an update of a customer with just the fields of the body.
func answer(call tandem.Call, remoteID string, second int) tandem.RemoteState {
	return tandem.RemoteState{
		Provider: call.Provider, RemoteID: remoteID, Source: tandem.FromResponse, SeenFrom: at(second - 2), SeenTo: at(second),
		Created: at(second - 1), Fields: tandem.Fields{}.With(call.Body), Key: call.Key, After: call.MappingVersion,
	}
}

// event is a snapshot that was made at that second.
func event(remoteID string, second int, f tandem.Fields) tandem.RemoteState {
	return tandem.RemoteState{
		Provider: "stripe", RemoteID: remoteID, Source: tandem.FromEvent, SeenFrom: at(second), SeenTo: at(second),
		Created: at(0), Fields: f, EventID: fmt.Sprintf("evt_%s_%d", remoteID, second), EventType: "customer.updated",
	}
}

func deleted(s tandem.RemoteState) tandem.RemoteState {
	s.Deleted, s.EventType = true, "customer.deleted"
	return s
}

// delivery is the webhook that brings a remote state.
func delivery(s tandem.RemoteState) tandem.Event {
	return tandem.Event{
		ID: s.EventID, Type: s.EventType, ObjectID: s.RemoteID, Created: s.SeenTo, Key: s.Key, APIVersion: "2023-10-16",
		Payload: []byte(`{"id":"` + s.EventID + `"}`), State: &s,
	}
}

func (b *bundle) ingest(s tandem.RemoteState) tandem.Ingested {
	b.t.Helper()
	in, err := b.Ingest(b.ctx, "stripe", delivery(s))
	require.NoError(b.t, err)
	return in
}

// mapping is the customer's live mapping, else the one that ended last.
func (b *bundle) mapping(id string) tandem.Mapping {
	b.t.Helper()
	all, err := b.Mappings(b.ctx, []string{id})
	require.NoError(b.t, err)
	require.Len(b.t, all, 1)
	return all[0]
}

func (b *bundle) customer(id string) tandem.Customer {
	b.t.Helper()
	c, err := b.Customer(b.ctx, id)
	require.NoError(b.t, err)
	return c
}

// story is the customer's journal as "direction action" lines.
func (b *bundle) story(id string) []string {
	b.t.Helper()
	entries, err := b.Journal(b.ctx, id, 100)
	require.NoError(b.t, err)
	lines := []string{}
	for _, e := range entries {
		lines = append(lines, string(e.Direction)+" "+e.Action)
	}
	return lines
}

func (b *bundle) count(query string, args ...any) int {
	b.t.Helper()
	var n int
	require.NoError(b.t, b.DB().GetContext(b.ctx, &n, query, args...))
	return n
}

// picture is every row of every table, so that two of them tell whether anything was written in between.
func (b *bundle) picture() map[string]string {
	b.t.Helper()
	out := map[string]string{}
	for _, table := range []string{"customers", "entity_integration_mappings", "remote_tombstones", "provider_events", "journal", "idempotency_keys", "provider_reads"} {
		var rows string
		require.NoError(b.t, b.DB().GetContext(b.ctx, &rows, `SELECT COALESCE(string_agg(t::text, E'\n' ORDER BY t::text), '') FROM `+table+` t`))
		out[table] = rows
	}
	return out
}

func requireCode(t testing.TB, err error, class tandem.Class, code string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, tandem.CodeOf(err), err.Error())
	require.Equal(t, class, tandem.ClassOf(err))
}
