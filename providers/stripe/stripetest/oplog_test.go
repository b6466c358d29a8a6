package stripetest_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// The log is ground truth: played again in its order into an empty twin, it
// makes the same customers, whatever happened at once.
func TestLogRebuildsTheState(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, func(n int) int { return 200 + n%2*300 })
	opts := stripetest.Options{DeterministicIDs: true, Seed: 1, Clock: frozen(noon)}
	settings := quick
	settings.WebhookDuplicates, settings.TwinEvents = 1, true
	busy := opts
	busy.Settings, busy.WebhookURL = settings, rc.URL
	w := setup(t, busy)
	w.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 8
	w.AddFault(stripetest.Fault{Kind: stripetest.Error500Done, Skip: 3, Count: 5})
	w.AddFault(stripetest.Fault{Kind: stripetest.ApplyDrop, Skip: 5, Count: 5})

	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() { scramble(w, worker) })
	}
	wg.Wait()
	w.idle()

	twin, err := stripetest.New(opts)
	require.NoError(t, err)
	defer twin.Close()
	for i, op := range w.Operations() {
		require.Equal(t, i+1, op.Seq)
		if !op.Applied {
			continue
		}
		switch op.Op {
		case "create":
			_, err = twin.CreateCustomer(op.Form)
		case "update":
			_, err = twin.EditCustomer(op.CustomerID, op.Form)
		case "delete":
			err = twin.DeleteCustomer(op.CustomerID)
		}
		require.NoError(t, err)
	}
	require.Equal(t, w.Customers(), twin.Customers())
	require.NotEmpty(t, twin.Customers())
}

// scramble does a little of everything, with no regard for the others.
func scramble(w *world, worker int) {
	for i := range 10 {
		key := fmt.Sprintf("%d/%d", worker, i/2) // every second request is a replay
		_, _ = w.send("POST", "/v1/customers", fmt.Sprintf("name=%d&metadata[i]=%d", worker, i/2), "Idempotency-Key", key)
		if live := w.Customers(); len(live) > 0 {
			c := live[0]
			_, _ = w.send("POST", "/v1/customers/"+c.ID, fmt.Sprintf("metadata[w%d]=%d&address[city]=%d", worker, i, i))
			_, _ = w.EditCustomer(c.ID, form("phone", fmt.Sprint(i)))
			if i == 9 && worker == 0 {
				_, _ = w.send("DELETE", "/v1/customers/"+c.ID, "")
			}
		}
		_, _ = w.send("GET", "/v1/customers?limit=3", "")
		_, _ = w.send("GET", "/v1/events?type=customer.*", "")
	}
}

func TestOperations(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{Clock: frozen(noon)})
	made := w.ok("POST", "/v1/customers", "name=a&metadata[k]=v", "Idempotency-Key", "op_1")
	w.ok("POST", "/v1/customers/"+made.id(), "name=a&email=x@y.org")
	w.must("POST", "/v1/customers", "email=x")
	w.must("GET", "/v1/customers", "", "Authorization", "")
	w.must("GET", "/v1/nowhere", "")

	ops := w.Operations()
	require.Len(t, ops, 5)
	require.Equal(t, stripetest.Operation{
		Seq: 1, At: noon, Actor: "api", Method: "POST", Path: "/v1/customers", Op: "create", CustomerID: made.id(),
		IdempotencyKey: "op_1", RequestID: made.header.Get("Request-Id"), Status: 200, Applied: true,
		Changed: []string{"name", "metadata[k]"}, Form: form("name", "a", "metadata[k]", "v"), EventIDs: []string{w.Events()[0].ID},
	}, ops[0])
	require.Equal(t, []string{"email"}, ops[1].Changed, "a field written with the value it had is in Form, not in Changed")
	require.Equal(t, 400, ops[2].Status)
	require.False(t, ops[2].Applied)
	require.Equal(t, 401, ops[3].Status)
	require.Empty(t, ops[3].RequestID)
	require.Equal(t, "unknown", ops[4].Op)
	require.Equal(t, ops[3:], w.OperationsSince(3))
	require.Empty(t, w.OperationsSince(99))
}

func TestCounts(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{})
	id := w.ok("POST", "/v1/customers", "").id()
	w.ok("GET", "/v1/customers/"+id, "")
	for range 3 {
		w.ok("GET", "/v1/customers", "")
	}
	w.must("GET", "/v1/customers?limit=0", "")
	want := map[string]int{"create": 1, "retrieve": 1, "list": 4}
	require.Equal(t, want, w.Counts())
	w.Counts()["list"] = 99
	require.Equal(t, want, w.Counts(), "a copy")
	require.EqualValues(t, 4, w.ok("GET", w.ControlURL()+"/operations/counts", "").body["list"])
}
