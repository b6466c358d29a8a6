package edges_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// steps of a race. A call is made, and its answer lost with its worker; the retry is whoever comes next.
const (
	stepDelete   = "delete"
	stepEdit     = "edit"
	stepCall     = "call"
	stepRetry    = "retry"
	stepWebhooks = "webhooks"
)

// orders are all orders of the steps in which a call comes before its retry.
func orders() (out [][]string) {
	var permute func(done, left []string)
	permute = func(done, left []string) {
		if len(left) == 0 {
			out = append(out, slices.Clone(done))
		}
		for i, step := range left {
			if step == stepRetry && !slices.Contains(done, stepCall) {
				continue
			}
			permute(append(slices.Clone(done), step), slices.Delete(slices.Clone(left), i, i+1))
		}
	}
	permute(nil, []string{stepDelete, stepEdit, stepCall, stepRetry, stepWebhooks})
	return out
}

// deleteInEveryOrder races a delete against the create or the update of the same customer, its retry, another edit and
// the webhooks. Deleted is deleted, whoever comes first: nobody of that name lives over there, at most one ever did, and
// nothing that is told later brings anybody back.
func deleteInEveryOrder(t *testing.T) {
	all := orders()
	require.Len(t, all, 60)
	called := slices.DeleteFunc(slices.Clone(all), func(order []string) bool { return order[0] != stepCall })
	for name, race := range map[string]struct {
		linked bool
		orders [][]string
		delete func(w *world, id string) error
	}{
		"archived here, created":    {false, all, archiveHere},
		"archived here, updated":    {true, all, archiveHere},
		"deleted there, updated":    {true, all, deleteThere},
		"deleted on both sides":     {true, called, deleteBoth},
		"archived here, kept there": {true, called, archiveAndKeep},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, order := range race.orders {
				t.Run(strings.Join(order, " "), func(t *testing.T) { // they take turns in one world
					w.t = t
					w.meet(5 * time.Second)
					w.race(race.linked, order, race.delete)
				})
			}
		})
	}
}

func archiveHere(w *world, id string) error {
	return w.say(changeOf(id, tandem.ChangeArchive, tandem.Patch{}))
}

func deleteThere(w *world, id string) error { return w.stripe.DeleteCustomer(w.mapping(id).RemoteID) }

func deleteBoth(w *world, id string) error {
	if err := deleteThere(w, id); err != nil {
		return err
	}
	return archiveHere(w, id)
}

func archiveAndKeep(w *world, id string) error {
	ch := changeOf(id, tandem.ChangeArchive, tandem.Patch{})
	ch.Remote = tandem.KeepRemote
	return w.say(ch)
}

func (w *world) race(linked bool, order []string, del func(*world, string) error) {
	w.t.Helper()
	id := w.stored(ada())
	if linked {
		w.settle(id)
		w.edit(id, tandem.Patch{Phone: ptr("+44 1225 111111")}) // what the call is about
	}
	deleted := false
	for _, step := range order {
		switch step {
		case stepDelete:
			require.NoError(w.t, del(w, id))
			deleted = true
		case stepEdit:
			err := w.say(changeOf(id, tandem.ChangeUpdate, tandem.Patch{Name: ptr("Ada Later")}))
			require.True(w.t, err == nil || deleted && tandem.CodeOf(err) == tandem.CodeCustomerArchived, "%v", err)
		case stepCall:
			w.loseTheAnswer(id)
		case stepRetry:
			w.outbound(id)
		case stepWebhooks:
			waiting := w.undelivered()
			slices.Reverse(waiting) // the latest first
			for _, e := range waiting {
				w.deliver(e)
			}
		}
	}
	w.settle(id)
	w.requireOver(id)
}

// loseTheAnswer makes the call that is due, if one is: it is carried out, and nobody hears of it.
func (w *world) loseTheAnswer(id string) {
	w.t.Helper()
	call, err := w.store.Plan(w.t.Context(), id, "stripe", tandem.Ask{})
	require.NoError(w.t, err)
	if call.Action == tandem.ActNothing {
		return
	}
	fault := w.stripe.AddFault(stripetest.Fault{Kind: stripetest.Truncate, Op: string(call.Action)})
	_ = w.called(id) // an update of what is deleted is answered after all, by the look that follows
	w.stripe.RemoveFault(fault)
}

func (w *world) requireOver(id string) {
	w.t.Helper()
	m := w.mapping(id)
	require.Equal(w.t, tandem.Archived, w.customer(id).Status)
	require.Equal(w.t, tandem.Ended, m.State, "%+v", m.LastError)
	require.LessOrEqual(w.t, w.made(id), 1, "remote customers ever made")
	live := w.of(id)
	if m.OnArchive == tandem.KeepRemote && len(live) == 1 {
		live = nil
	}
	require.Empty(w.t, live)
	applied := 0
	for _, d := range w.calls("delete") {
		if d.Applied && d.CustomerID == m.RemoteID && m.RemoteID != "" {
			applied++
		}
	}
	require.LessOrEqual(w.t, applied, 1)
	if m.OnArchive == tandem.KeepRemote {
		require.Zero(w.t, applied, "it was to be kept")
	}
	w.quiet(id)
	var named int
	require.NoError(w.t, w.store.DB().GetContext(w.t.Context(), &named,
		`SELECT count(DISTINCT entity_id) FROM entity_integration_mappings WHERE provider_entity_id = $1`, m.RemoteID))
	require.LessOrEqual(w.t, named, 1, fmt.Sprint("customers of ", m.RemoteID))
}
