package starter_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// held makes a customer whose create does not reach the provider before release is called.
func (s *stack) held(t *testing.T) (id string, release func()) {
	t.Helper()
	id = newCustomerID()
	fault := s.standIn.AddFault(stripetest.Fault{Kind: stripetest.Hold, Op: "create", Contains: id})
	_, err := s.starter.Change(t.Context(), createOf(id))
	require.NoError(t, err)
	require.NoError(t, s.standIn.Wait(t.Context(), func() bool { return s.struck(fault) }))
	return id, func() { s.standIn.RemoveFault(fault) }
}

func (s *stack) struck(fault string) bool {
	for _, f := range s.standIn.Faults() {
		if f.ID == fault {
			return f.Hits > 0
		}
	}
	return false
}

// foreign makes a remote customer as a person in the dashboard would.
func (s *stack) foreign(t *testing.T) string {
	t.Helper()
	c, err := s.standIn.CreateCustomer(url.Values{"name": {"Mary Example"}, "email": {"mary@example.org"}})
	require.NoError(t, err)
	return c.ID
}

func testInboundSize(t *testing.T, s *stack) {
	remoteID := s.foreign(t)
	run := s.inbound(t, remoteID)
	require.Equal(t, "inbound/stripe/"+remoteID, run.WorkflowID)
	h := s.history(t, run.WorkflowID, run.RunID)
	t.Log(describe(h))
	require.LessOrEqual(t, len(h.Events), 10)
	c := s.byRemote(t, remoteID)
	require.Equal(t, "Mary Example", c.Name)
	require.Empty(t, s.writesTo(remoteID), "an import costs no write")
}

func (s *stack) byRemote(t *testing.T, remoteID string) tandem.Customer {
	t.Helper()
	cs, err := s.store.Customers(t.Context(), tandem.CustomerQuery{ProviderEntityID: remoteID, Limit: 2})
	require.NoError(t, err)
	require.Len(t, cs, 1)
	return cs[0]
}

// writesTo lists what we wrote to a remote customer.
func (s *stack) writesTo(remoteID string) (ops []stripetest.Operation) {
	for _, o := range s.standIn.Operations() {
		if o.Actor == stripetest.ActorAPI && o.Method != "GET" && o.CustomerID == remoteID {
			ops = append(ops, o)
		}
	}
	return ops
}

func testInbound(t *testing.T, s *stack) {
	remoteID := s.foreign(t)
	rows := []string{s.ingest(t, remoteID).Row}
	for i := range 19 {
		_, err := s.standIn.EditCustomer(remoteID, url.Values{"name": {fmt.Sprintf("Mary %d Example", i)}})
		require.NoError(t, err)
		in := s.ingest(t, remoteID)
		require.True(t, in.Open)
		rows = append(rows, in.Row)
	}
	runs := make([]tandem.Run, len(rows))
	errs := make([]error, len(rows))
	together(len(rows), func(i int) { runs[i], errs[i] = s.starter.Inbound(t.Context(), "stripe", remoteID, rows[i:i+1]) })
	distinct := map[string]bool{}
	for i, run := range runs {
		require.NoError(t, errs[i])
		s.ended(t, run)
		distinct[run.RunID] = true
	}
	waiting, err := s.store.Waiting(t.Context(), "stripe", []string{remoteID}, 100)
	require.NoError(t, err)
	require.Empty(t, waiting)
	require.Equal(t, "Mary 18 Example", s.byRemote(t, remoteID).Name)
	require.Empty(t, s.writesTo(remoteID))
	t.Logf("%d signals led to %d runs", len(rows), len(distinct))
	require.Less(t, len(distinct), len(rows))
}
