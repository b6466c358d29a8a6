package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
)

// standIn is the Stripe stand-in by its control API: the dashboard, and the ground truth of what really happened there.
type standIn struct{ control string }

// remote is a customer over there.
type remote struct {
	ID       string            `json:"id"`
	Deleted  bool              `json:"deleted"`
	Name     string            `json:"name"`
	Email    string            `json:"email"`
	Phone    string            `json:"phone"`
	Address  map[string]string `json:"address"`
	Metadata map[string]string `json:"metadata"`
}

// operation is one request answered or one edit made.
type operation struct {
	Seq        int        `json:"seq"`
	Actor      string     `json:"actor"`
	Method     string     `json:"method"`
	Path       string     `json:"path"`
	Op         string     `json:"op"`
	CustomerID string     `json:"customer_id"`
	Key        string     `json:"idempotency_key"`
	RequestID  string     `json:"request_id"`
	Status     int        `json:"status"`
	Replayed   bool       `json:"replayed"`
	Applied    bool       `json:"applied"`
	Changed    []string   `json:"changed"`
	Form       url.Values `json:"form"`
	Events     []string   `json:"events"`
}

func (r standIn) try(ctx context.Context, method, path string, body, out any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, r.control+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	res, err := httpClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err = io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("stand-in: %s %s: %d %s", method, path, res.StatusCode, raw)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

func (r standIn) do(t tester, method, path string, body, out any) {
	t.Helper()
	require.NoError(t, r.try(context.Background(), method, path, body, out))
}

// create, edit and remove are a person in the dashboard.
func (r standIn) create(t tester, fields object) remote {
	t.Helper()
	var out remote
	r.do(t, http.MethodPost, "/customers", fields, &out)
	return out
}

func (r standIn) edit(t tester, id string, fields object) {
	t.Helper()
	r.do(t, http.MethodPatch, "/customers/"+id, fields, nil)
}

func (r standIn) remove(t tester, id string) {
	t.Helper()
	r.do(t, http.MethodDelete, "/customers/"+id, nil, nil)
}

func (r standIn) customer(t tester, id string) remote {
	t.Helper()
	var out remote
	r.do(t, http.MethodGet, "/customers/"+id, nil, &out)
	return out
}

// of lists the live remote customers that say they belong to the customer.
func (r standIn) of(t tester, customerID string) []remote {
	t.Helper()
	var all []remote
	r.do(t, http.MethodGet, "/customers", nil, &all)
	return slices.DeleteFunc(all, func(c remote) bool { return c.Metadata["flexprice_customer_id"] != customerID })
}

// operations are those about the customer: by our key, and by what a person did to its remote customer.
func (r standIn) operations(t tester, customerID, remoteID string) []operation {
	t.Helper()
	var all []operation
	r.do(t, http.MethodGet, "/operations", nil, &all)
	return slices.DeleteFunc(all, func(op operation) bool {
		return !strings.Contains(op.Key, customerID) && (remoteID == "" || op.CustomerID != remoteID)
	})
}

// calls are the operations that Tandem made.
func (r standIn) calls(t tester, customerID, remoteID string) []operation {
	t.Helper()
	return slices.DeleteFunc(r.operations(t, customerID, remoteID), func(op operation) bool { return op.Actor != "api" })
}

// fault arms trouble and returns its id.
func (r standIn) fault(t tester, f object) string {
	t.Helper()
	var out struct{ ID string }
	r.do(t, http.MethodPost, "/faults", f, &out)
	return out.ID
}

func (r standIn) unfault(t tester, id string) {
	t.Helper()
	r.do(t, http.MethodDelete, "/faults/"+id, nil, nil)
}

// hits is how many requests the fault has struck.
func (r standIn) hits(t tester, id string) int {
	t.Helper()
	var all []struct {
		ID   string
		Hits int
	}
	r.do(t, http.MethodGet, "/faults", nil, &all)
	for _, f := range all {
		if f.ID == id {
			return f.Hits
		}
	}
	require.Fail(t, "no such fault", id)
	return 0
}

func (r standIn) set(t tester, settings object) {
	t.Helper()
	r.do(t, http.MethodPatch, "/settings", settings, nil)
}

func (r standIn) pause(t tester)  { t.Helper(); r.do(t, http.MethodPost, "/webhooks/pause", nil, nil) }
func (r standIn) resume(t tester) { t.Helper(); r.do(t, http.MethodPost, "/webhooks/resume", nil, nil) }

func (r standIn) waitIdle(t tester) {
	t.Helper()
	r.do(t, http.MethodPost, "/wait-idle?timeout=30s", nil, nil)
}

// calmDown takes all trouble back and waits for what is still on its way.
func (r standIn) calmDown(ctx context.Context) error {
	return cmp.Or(
		r.try(ctx, http.MethodDelete, "/faults", nil, nil),
		r.try(ctx, http.MethodPatch, "/settings", object{
			"webhook_delay": "0s", "webhook_jitter": "0s", "webhook_duplicates": 0, "webhook_reorder": 0,
			"webhook_concurrency": 0, "echo_first": false, "retry_first": "0s", "twin_events": false,
		}, nil),
		r.try(ctx, http.MethodPost, "/webhooks/resume", nil, nil),
		r.try(ctx, http.MethodPost, "/wait-idle?timeout=30s", nil, nil),
	)
}
