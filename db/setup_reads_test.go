package db_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db"
)

const (
	noMapping = "eim_01JD3Z8Q4V7T9N2M5K6P8R0S1Z"
	noEvent   = "pev_01JD3Z8Q4V7T9N2M5K6P8R0S1Z"
)

var (
	byAPI     = tandem.Work{Cause: tandem.Cause{Kind: tandem.ByAPI, ID: "req_1"}, WorkflowID: "outbound/x", RunID: "run_1"}
	byWebhook = tandem.Work{Cause: tandem.Cause{Kind: tandem.ByWebhook, ID: "evt_1"}}
	midnight  = time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)
)

func nthCustomer(n int) string { return fmt.Sprintf("cust_01JD3Z8Q4V7T9N2M5K6P8R%04d", n) }

// create makes customer n as an API caller would; its mapping is pending.
func create(t *testing.T, store *db.Store, n int) tandem.Customer {
	t.Helper()
	name, email := fmt.Sprint("Customer ", n), fmt.Sprintf("c%d@example.com", n)
	c, err := store.ApplyChange(t.Context(), tandem.Change{
		ID: fmt.Sprint("change-", n), Kind: tandem.ChangeCreate, CustomerID: nthCustomer(n), Patch: tandem.Patch{Name: &name, Email: &email},
	}, byAPI)
	require.NoError(t, err)
	return c
}

// readsEvent says at a minute of the day that a remote customer has this name.
func readsEvent(n, minute int, name string) tandem.Event {
	at := midnight.Add(time.Duration(minute) * time.Minute)
	id := fmt.Sprint("evt_", n)
	return tandem.Event{
		ID: id, Type: "customer.updated", ObjectID: "cus_1", Created: at, APIVersion: "2023-10-16", Payload: []byte(`{"id": "` + id + `"}`),
		State: &tandem.RemoteState{
			RemoteID: "cus_1", Source: tandem.FromEvent, SeenFrom: at, SeenTo: at, Fields: tandem.Fields{Name: name}, EventID: id, EventType: "customer.updated",
		},
	}
}

// take brings an readsEvent in and applies it if that is left to do, as the workflow would.
func take(t *testing.T, store *db.Store, e tandem.Event) (row string) {
	t.Helper()
	in, err := store.Ingest(t.Context(), "stripe", e)
	require.NoError(t, err)
	if in.Open {
		apply(t, store, e, in.Row)
	}
	return in.Row
}

func apply(t *testing.T, store *db.Store, e tandem.Event, row string) tandem.Outcome {
	t.Helper()
	state := *e.State
	state.Provider, state.EventRows = "stripe", []string{row}
	out, err := store.ApplyRemote(t.Context(), []tandem.RemoteState{state}, byWebhook)
	require.NoError(t, err)
	return out[0]
}
