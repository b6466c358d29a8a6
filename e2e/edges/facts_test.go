package edges_test

import (
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

func (w *world) customer(id string) tandem.Customer {
	w.t.Helper()
	c, err := w.store.Customer(w.t.Context(), id)
	require.NoError(w.t, err)
	return c
}

func (w *world) mapping(id string) tandem.Mapping {
	w.t.Helper()
	ms, err := w.store.Mappings(w.t.Context(), []string{id})
	require.NoError(w.t, err)
	require.Len(w.t, ms, 1)
	return ms[0]
}

// of lists the live remote customers that say they belong to the customer.
func (w *world) of(id string) (out []stripetest.Customer) {
	for _, c := range w.stripe.Customers() {
		if c.Metadata[tandem.KeyCustomerID] == id {
			out = append(out, c)
		}
	}
	return out
}

// by is the customer that a remote customer is linked to.
func (w *world) by(remoteID string) tandem.Customer {
	w.t.Helper()
	cs, err := w.store.Customers(w.t.Context(), tandem.CustomerQuery{ProviderEntityID: remoteID, Limit: 2})
	require.NoError(w.t, err)
	require.Len(w.t, cs, 1)
	return cs[0]
}

// calls are the requests of one kind that Tandem made; all of them for "".
func (w *world) calls(op string) (out []stripetest.Operation) {
	for _, o := range w.stripe.Operations() {
		if o.Actor == stripetest.ActorAPI && (op == "" || o.Op == op) {
			out = append(out, o)
		}
	}
	return out
}

// story is what the journal says, as "direction action" lines.
func (w *world) story(id string) (lines []string) {
	w.t.Helper()
	entries, err := w.store.Journal(w.t.Context(), id, 100)
	require.NoError(w.t, err)
	for _, e := range entries {
		lines = append(lines, string(e.Direction)+" "+e.Action)
	}
	return lines
}

// agree settles, expects exactly one live remote customer that is equal to the customer, and shows that everything told
// once more changes nothing on either side.
func (w *world) agree(id string) (tandem.Customer, stripetest.Customer) {
	w.t.Helper()
	w.settle(id)
	m := w.mapping(id)
	require.Equal(w.t, tandem.Synced, m.State, "last error: %+v", m.LastError)
	require.Nil(w.t, m.Claim)
	require.Nil(w.t, m.LastError)
	w.quiet(id)
	c := w.customer(id)
	there, ok := w.stripe.Customer(m.RemoteID)
	require.True(w.t, ok)
	require.False(w.t, there.Deleted)
	require.Equal(w.t, fieldsOf(there), textOf(c.Fields()), "the remote side, and ours")
	if m.Metadata[tandem.MetaSyncDirection] == tandem.PlatformToProvider {
		require.Len(w.t, w.of(id), 1, "live remote customers")
	}
	return c, there
}

// quiet tells everything once more, newest first, and looks once more: nothing is written anywhere.
func (w *world) quiet(id string) {
	w.t.Helper()
	c, writes, story := w.customer(id), w.writes(), w.story(id)
	remoteID := w.mapping(id).RemoteID
	for _, e := range slices.Backward(w.stripe.Events()) {
		if e.CustomerID == remoteID {
			w.deliver(e)
		}
	}
	w.outbound(id)
	require.Equal(w.t, c, w.customer(id))
	require.Equal(w.t, writes, w.writes())
	require.Equal(w.t, story, w.story(id))
}

// writes is how many requests changed something over there, or tried to.
func (w *world) writes() int {
	return len(w.calls("create")) + len(w.calls("update")) + len(w.calls("delete"))
}

// ended settles and expects that the customer is archived, and that nobody of its name lives over there.
func (w *world) ended(id string, reason tandem.ArchivedReason) {
	w.t.Helper()
	w.settle(id)
	require.Equal(w.t, tandem.Archived, w.customer(id).Status)
	m := w.mapping(id)
	require.Equal(w.t, tandem.Ended, m.State)
	if reason != "" {
		require.Equal(w.t, reason, m.ArchivedReason)
	}
	require.Empty(w.t, w.of(id))
	w.quiet(id)
}

// textOf is a customer's fields as one flat map without empty values, which both sides can be brought to.
func textOf(f tandem.Fields) map[string]string {
	return flat(f.Metadata, "name", f.Name, "email", f.Email, "phone", f.Phone, "line1", f.Address.Line1, "line2", f.Address.Line2,
		"city", f.Address.City, "state", f.Address.State, "postal_code", f.Address.PostalCode, "country", f.Address.Country)
}

func fieldsOf(c stripetest.Customer) map[string]string {
	metadata := map[string]string{}
	for k, v := range c.Metadata {
		if !tandem.IsReserved(k) {
			metadata[k] = v
		}
	}
	a := c.Address
	return flat(metadata, "name", c.Name, "email", c.Email, "phone", c.Phone, "line1", a["line1"], "line2", a["line2"],
		"city", a["city"], "state", a["state"], "postal_code", a["postal_code"], "country", a["country"])
}

func flat(metadata map[string]string, pairs ...string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out[pairs[i]] = pairs[i+1]
		}
	}
	for k, v := range metadata {
		if v != "" {
			out["metadata."+k] = v
		}
	}
	return out
}

// everybody is all customers.
func (w *world) everybody() []tandem.Customer {
	w.t.Helper()
	cs, err := w.store.Customers(w.t.Context(), tandem.CustomerQuery{Limit: 100})
	require.NoError(w.t, err)
	return cs
}

// made is how many remote customers were ever made for a customer.
func (w *world) made(id string) int {
	made := map[string]bool{}
	for _, o := range w.calls("create") {
		if o.Applied && !o.Replayed && o.Form.Get("metadata["+tandem.KeyCustomerID+"]") == id {
			made[o.CustomerID] = true
		}
	}
	return len(made)
}
