package edges_test

import (
	"net/url"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func newID(prefix string) string { return prefix + "_" + ulid.Make().String() }

func ptr[T any](v T) *T { return &v }

// creation is a customer that no other test has.
func creation(fields tandem.Patch) tandem.Change {
	return tandem.Change{ID: newID("chg"), Kind: tandem.ChangeCreate, CustomerID: newID("cust"), Patch: fields}
}

func ada() tandem.Patch {
	return tandem.Patch{
		Name: ptr("Ada Example"), Email: ptr("ada@example.org"), Phone: ptr("+44 20 7946 0000"),
		Address: &tandem.Address{Line1: "1 Mill Lane", City: "Bath", Country: "GB"}, Metadata: map[string]string{"plan": "pro"},
	}
}

// stored is a customer whose create nobody has called yet.
func (w *world) stored(fields tandem.Patch) string {
	w.t.Helper()
	ch := creation(fields)
	_, err := w.store.ApplyChange(w.t.Context(), ch, tandem.Work{Cause: tandem.Cause{Kind: tandem.ByAPI, ID: ch.ID}})
	require.NoError(w.t, err)
	return ch.CustomerID
}

// linked is a customer that both sides have, all events told.
func (w *world) linked(fields tandem.Patch) (id, remoteID string) {
	w.t.Helper()
	id = w.stored(fields)
	w.settle(id)
	m := w.mapping(id)
	require.Equal(w.t, tandem.Synced, m.State)
	return id, m.RemoteID
}

func changeOf(id string, kind tandem.ChangeKind, fields tandem.Patch) tandem.Change {
	return tandem.Change{ID: newID("chg"), Kind: kind, CustomerID: id, Patch: fields}
}

// say makes a change through the run that is open, else as an API caller whose worker dies right after the commit: what
// is left to do is done by the next run.
func (w *world) say(ch tandem.Change) error {
	w.t.Helper()
	w.mu.Lock()
	env := w.running[ch.CustomerID]
	w.mu.Unlock()
	if env == nil {
		_, err := w.store.ApplyChange(w.t.Context(), ch, tandem.Work{Cause: tandem.Cause{Kind: tandem.ByAPI, ID: ch.ID}})
		return err
	}
	done := make(chan error, 1)
	sendChange(env, ch, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		require.Fail(w.t, "a change was not answered while a call was in flight")
		return nil
	}
}

func (w *world) edit(id string, fields tandem.Patch) {
	w.t.Helper()
	require.NoError(w.t, w.say(changeOf(id, tandem.ChangeUpdate, fields)))
}

func (w *world) archive(id string) {
	w.t.Helper()
	require.NoError(w.t, w.say(changeOf(id, tandem.ChangeArchive, tandem.Patch{})))
}

// there edits the remote customer as a person in the dashboard would; pairs of parameter and value.
func (w *world) there(remoteID string, pairs ...string) {
	w.t.Helper()
	_, err := w.stripe.EditCustomer(remoteID, form(pairs...))
	require.NoError(w.t, err)
}

func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// foreign makes a remote customer in the dashboard.
func (w *world) foreign(pairs ...string) string {
	w.t.Helper()
	c, err := w.stripe.CreateCustomer(form(pairs...))
	require.NoError(w.t, err)
	return c.ID
}
