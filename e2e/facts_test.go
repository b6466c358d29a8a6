package e2e_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
)

// How long a fact may take to become true, with several stacks and other tests on a small machine.
const (
	patience = 60 * time.Second
	tick     = 50 * time.Millisecond
)

// eventually waits for a fact.
func eventually(t *testing.T, fact func(c *assert.CollectT), what ...any) {
	t.Helper()
	require.EventuallyWithT(t, fact, patience, tick, what...)
}

// marker stands in every name, address and value the tests make up, so that one search of a log finds them all.
const marker = "Quillfeather"

// person makes up fields that no other test uses. The tag keeps people of one test apart.
func person(tag string) object {
	unique := fmt.Sprintf("%s-%d", tag, time.Now().UnixNano())
	return object{
		"name":          marker + " " + unique,
		"email":         strings.ToLower(marker) + "." + unique + "@example.org",
		"phone":         "+1 415 555 0100",
		"address_line1": "1 " + marker + " Street", "address_city": "Bath", "address_country": "GB",
		"metadata": object{"plan": marker + " pro"},
	}
}

// remotePerson is a person as the dashboard takes one.
func remotePerson(tag string) object {
	p := person(tag)
	p["address"] = object{"line1": p["address_line1"], "city": p["address_city"], "country": p["address_country"]}
	for _, field := range []string{"address_line1", "address_city", "address_country"} {
		delete(p, field)
	}
	return p
}

// mapping is a row that the tests only read.
type mapping struct {
	ID             string     `db:"id"`
	CustomerID     string     `db:"entity_id"`
	RemoteID       string     `db:"provider_entity_id"`
	State          string     `db:"state"`
	Base           jsonText   `db:"base"`
	AsOfFrom       *time.Time `db:"as_of_from"`
	AsOf           *time.Time `db:"as_of"`
	Claim          jsonText   `db:"claim"`
	LastError      jsonText   `db:"last_error"`
	Metadata       jsonText   `db:"metadata"`
	SyncedAt       *time.Time `db:"synced_at"`
	CreatedAt      time.Time  `db:"created_at"`
	ArchivedReason string     `db:"archived_reason"`
}

type jsonText string

// Scan implements sql.Scanner; NULL is "".
func (j *jsonText) Scan(v any) error {
	b, _ := v.([]byte)
	*j = jsonText(b)
	return nil
}

func (j jsonText) object(t tester) object {
	t.Helper()
	out := object{}
	require.NoError(t, json.Unmarshal([]byte(cmp.Or(j, "{}")), &out))
	return out
}

const mappingColumns = `id, entity_id, COALESCE(provider_entity_id, '') AS provider_entity_id, state, base, as_of_from, as_of,
	claim, last_error, metadata, synced_at, created_at, COALESCE(archived_reason, '') AS archived_reason`

// mapping expects exactly one for the customer, live or not.
func (s *stack) mapping(t tester, customerID string) mapping {
	t.Helper()
	var rows []mapping
	s.query(t, &rows,
		`SELECT `+mappingColumns+` FROM entity_integration_mappings WHERE entity_id = $1`, customerID)
	require.Len(t, rows, 1)
	return rows[0]
}

type event struct {
	EventID    string `db:"event_id"`
	ObjectID   string `db:"object_id"`
	Type       string `db:"type"`
	State      string `db:"state"`
	Reason     string `db:"reason"`
	Deliveries int    `db:"deliveries"`
}

// ledger is what the remote customer's events have become, in the order they came.
func (s *stack) ledger(t tester, remoteID string) []event {
	t.Helper()
	var rows []event
	s.query(t, &rows,
		`SELECT event_id, type, state, reason, deliveries FROM provider_events WHERE object_id = $1 ORDER BY received_at, id`, remoteID)
	return rows
}

type journalRow struct {
	CustomerID string   `db:"entity_id"`
	Provider   string   `db:"provider_type"`
	Direction  string   `db:"direction"`
	Action     string   `db:"action"`
	Cause      string   `db:"cause"`
	CauseID    string   `db:"cause_id"`
	RemoteID   string   `db:"provider_entity_id"`
	WorkflowID string   `db:"workflow_id"`
	RunID      string   `db:"run_id"`
	Changes    jsonText `db:"changes"`
}

func (s *stack) journal(t tester, customerID string) []journalRow {
	t.Helper()
	var rows []journalRow
	s.query(t, &rows,
		`SELECT direction, action, cause, cause_id, COALESCE(provider_entity_id, '') AS provider_entity_id, workflow_id, changes
		 FROM journal WHERE entity_id = $1 ORDER BY id`, customerID)
	return rows
}

// query reads into a slice of rows, or into a single value.
func (s *stack) query(t tester, into any, query string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	read := s.db.SelectContext
	if reflect.TypeOf(into).Elem().Kind() != reflect.Slice {
		read = s.db.GetContext
	}
	require.NoError(t, read(ctx, into, query, args...))
}

func (s *stack) count(t tester, query string, args ...any) int {
	t.Helper()
	var n int
	s.query(t, &n, query, args...)
	return n
}

// synced waits until the customer is, and returns it.
func (s *stack) synced(t *testing.T, id string) customer {
	t.Helper()
	return s.reaches(t, id, "synced")
}

func (s *stack) reaches(t *testing.T, id, state string) customer {
	t.Helper()
	var out customer
	eventually(t, func(c *assert.CollectT) {
		out = s.customer(c, id)
		require.Equal(c, state, out.stripe().State, "last error: %+v", out.stripe().LastError)
	}, "the mapping of "+id)
	return out
}

// archived waits until the customer and its mapping both are.
func (s *stack) archived(t *testing.T, id string) customer {
	t.Helper()
	var out customer
	eventually(t, func(c *assert.CollectT) {
		out = s.customer(c, id)
		require.Equal(c, "archived archived", out.Status+" "+out.stripe().State)
	}, "the end of "+id)
	return out
}

// imported waits until a remote customer has become a customer, and returns it.
func (s *stack) imported(t *testing.T, remoteID string) customer {
	t.Helper()
	var out customer
	eventually(t, func(c *assert.CollectT) {
		found := s.list(c, "provider_entity_id="+remoteID)
		require.Len(c, found, 1)
		out = found[0]
	}, "the customer of "+remoteID)
	return out
}

// rests waits until nothing is left to do for the pair: the mapping is synced, every event that ever happened is
// finished, and neither workflow runs. What is true then stays true.
func (s *stack) rests(t *testing.T, id string) customer {
	t.Helper()
	var out customer
	var last atomic.Value // the remote id; when patience ends, a look may still be under way
	defer func() {
		if t.Failed() {
			remoteID, _ := last.Load().(string)
			t.Log(s.unrest(t, "outbound/"+id) + s.unrest(t, "inbound/stripe/"+remoteID))
		}
	}()
	eventually(t, func(c *assert.CollectT) {
		out = s.customer(c, id)
		remoteID := out.stripe().RemoteID
		last.Store(remoteID)
		require.Contains(c, []string{"synced", "archived"}, out.stripe().State, "last error: %+v", out.stripe().LastError)
		finished := map[string]bool{}
		for _, e := range s.ledger(c, remoteID) {
			finished[e.EventID] = e.State != "received"
		}
		for _, op := range s.stripe.operations(c, id, remoteID) {
			for _, e := range op.Events {
				require.True(c, finished[e], "event %s of %s is not finished", e, op.Op)
			}
		}
		for _, workflowID := range []string{"outbound/" + id, "inbound/stripe/" + remoteID} {
			require.NotEqual(c, enums.WORKFLOW_EXECUTION_STATUS_RUNNING, s.status(c, workflowID), workflowID)
		}
		after := s.customer(c, id) // one that was read before the last event was finished may be old
		require.Equal(c, out, after)
	}, "nothing left to do for "+id)
	return out
}

// fields are the synced ones, in one form for both sides; empty values are left out.
type fields map[string]string

func (c customer) fields() fields {
	return newFields(c.Metadata, "name", c.Name, "email", c.Email, "phone", c.Phone, "line1", c.Line1, "line2", c.Line2,
		"city", c.City, "state", c.State, "postal_code", c.PostalCode, "country", c.Country)
}

func (r remote) fields() fields {
	metadata := maps.Clone(r.Metadata)
	for _, reserved := range []string{"flexprice_customer_id", "flexprice_environment", "external_id"} {
		delete(metadata, reserved)
	}
	return newFields(metadata, "name", r.Name, "email", r.Email, "phone", r.Phone, "line1", r.Address["line1"], "line2", r.Address["line2"],
		"city", r.Address["city"], "state", r.Address["state"], "postal_code", r.Address["postal_code"], "country", r.Address["country"])
}

func newFields(metadata map[string]string, pairs ...string) fields {
	f := fields{}
	for i := 0; i < len(pairs); i += 2 {
		f[pairs[i]] = pairs[i+1]
	}
	for k, v := range metadata {
		f["metadata."+k] = v
	}
	maps.DeleteFunc(f, func(_, v string) bool { return v == "" })
	return f
}

// agrees waits until the pair rests and holds both sides equal to each other.
func (s *stack) agrees(t *testing.T, id string) (customer, remote) {
	t.Helper()
	c := s.rests(t, id)
	r := s.stripe.customer(t, c.stripe().RemoteID)
	require.False(t, r.Deleted)
	require.Equal(t, r.fields(), c.fields(), "the remote side, and ours")
	return c, r
}
