//go:build chaos

package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// flow leads to a point. prepare comes before the plan is armed; round is made until the process has died, so that the
// second hit of a point is in the second round at the latest. Both may be cut by the death at any request or wait: the
// trial asks again, waits on, and they go on.
type flow struct {
	prepare func(tr *trial)
	round   func(tr *trial, n int)
}

var flows = map[string]flow{
	"create":         {nil, func(tr *trial, n int) { tr.born(fmt.Sprint("create-", n)) }},
	"update":         {oneCustomer, roundUpdate},
	"delete":         {twoCustomers, roundDelete},
	"both":           {oneCustomer, roundBoth},
	"contested":      {oneCustomer, roundContested},
	"brief":          {nil, roundBrief},
	"gone meanwhile": {twoCustomers, roundGoneMeanwhile},
	"adopt":          {prepareParked, roundAdopt},
	"inbound create": {nil, func(tr *trial, n int) { tr.arrives(fmt.Sprint("arrives-", n)) }},
	"inbound update": {func(tr *trial) { tr.arrives("edited") }, roundEdited},
	"inbound delete": {func(tr *trial) { tr.arrives("removed-1"); tr.arrives("removed-2") }, roundRemoved},
	"inbound fetch":  {nil, roundFetch},
	"repair":         {oneCustomer, roundRepair},
	"prove done":     {nil, func(tr *trial, n int) { roundProve(tr, n, stripetest.Error500Done) }},
	"prove undone":   {nil, func(tr *trial, n int) { roundProve(tr, n, stripetest.Error500) }},
	"refused":        {nil, roundRefused},
	"unavailable":    {nil, roundUnavailable},
	"link":           {prepareLinks, roundLink},
	"unlink":         {twoCustomers, roundUnlink},
	"resolve":        {prepareHeld, roundResolve},
	"retry":          {prepareParked, roundRetry},
	"skip":           {prepareParked, roundSkip},
	"sync":           {oneCustomer, roundSync},
	"import":         {nil, roundImport},
}

func oneCustomer(tr *trial)  { tr.born("one") }
func twoCustomers(tr *trial) { tr.born("one"); tr.born("two") }

// ids are the expected customers in the order they were made: ids sort by time.
func (tr *trial) ids() []string { return slices.Sorted(maps.Keys(tr.want)) }

// asks makes a customer and says what is expected of it, but for what the provider is asked to do.
func (tr *trial) asks(tag string) (string, *expectation) {
	tr.t.Helper()
	p := person(tag)
	tr.asked++
	p["external_id"] = fmt.Sprint("ext-", tr.asked)
	c := tr.ask(http.MethodPost, "/v1/customers", p, "Idempotency-Key", fmt.Sprint("crash ", tr.asked)).customer(tr.t, http.StatusCreated)
	w := &expectation{fields: c.fields(), linked: true, wishes: 1, wished: map[string]map[string]bool{}, edited: map[string]bool{}, creates: 1}
	require.Equal(tr.t, p["email"], c.Email)
	for field, value := range c.told() {
		w.wish(field, value)
	}
	tr.want[c.ID] = w
	return c.ID, w
}

func (w *expectation) wish(field, value string) {
	if w.wished[field] == nil {
		w.wished[field] = map[string]bool{}
	}
	w.wished[field][value] = true
}

// born makes a customer and waits until both sides have it.
func (tr *trial) born(tag string) string {
	tr.t.Helper()
	id, _ := tr.asks(tag)
	tr.settle()
	return id
}

// arrives makes a remote customer and waits until it has become a customer.
func (tr *trial) arrives(tag string) string {
	tr.t.Helper()
	r := tr.stripe.create(tr.t, remotePerson(tag))
	id := ""
	tr.until("the import of "+r.ID, func(t tester) {
		found := tr.list(t, "provider_entity_id="+r.ID)
		require.Len(t, found, 1)
		id = found[0].ID
	})
	w := &expectation{fields: r.fields(), linked: true, wished: map[string]map[string]bool{}, edited: map[string]bool{}}
	for _, field := range []string{"name", "email", "phone", "address", "metadata.plan"} {
		w.edited[field] = true
	}
	tr.want[id] = w
	tr.settle()
	return id
}

func (tr *trial) patch(id string, patch object) {
	tr.t.Helper()
	tr.ask(http.MethodPatch, "/v1/customers/"+id, patch).customer(tr.t, http.StatusOK)
	w := tr.want[id]
	w.wishes++
	for field, value := range patch {
		w.fields[field] = value.(string)
		w.wish(field, value.(string))
	}
}

func (tr *trial) edit(id string, patch object) {
	tr.t.Helper()
	tr.server.AdvanceClock(3 * time.Second) // what happens within one second may cost a look
	tr.stripe.edit(tr.t, tr.remoteOf(id), patch)
	for field, value := range patch {
		tr.want[id].fields[field] = value.(string)
		tr.want[id].edited[field] = true
	}
}

func (tr *trial) remoteOf(id string) string {
	tr.t.Helper()
	return tr.ask(http.MethodGet, "/v1/customers/"+id, nil).customer(tr.t, http.StatusOK).stripe().RemoteID
}
