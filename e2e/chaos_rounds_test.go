//go:build chaos

package e2e_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

func roundUpdate(tr *trial, n int) {
	id := tr.ids()[0]
	tr.patch(id, object{"name": fmt.Sprint(marker, " renamed ", n)})
	tr.want[id].updates++
	tr.settle()
}

func roundDelete(tr *trial, n int) {
	id := tr.ids()[n-1]
	a := tr.ask(http.MethodDelete, "/v1/customers/"+id, nil)
	require.Equal(tr.t, http.StatusNoContent, a.status, string(a.body))
	w := tr.want[id]
	w.archived, w.linked, w.deletes = true, false, 1
	w.wishes++
	tr.settle()
}

// roundBoth changes both sides at once, so that an answer and a foreign event meet.
func roundBoth(tr *trial, n int) {
	id := tr.ids()[0]
	tr.edit(id, object{"phone": fmt.Sprint("+1 555 01", 10+n)})
	tr.patch(id, object{"name": fmt.Sprint(marker, " both ", n)})
	tr.want[id].updates++
	tr.want[id].reads += 6 // which came first may be in doubt, of the answer and of either event, and again after the death
	tr.settle()
}

// roundContested changes the same field on both sides at once. The platform wins, whatever is heard of first.
func roundContested(tr *trial, n int) {
	id := tr.ids()[0]
	tr.edit(id, object{"name": fmt.Sprint(marker, " theirs ", n)})
	tr.patch(id, object{"name": fmt.Sprint(marker, " ours ", n)})
	tr.want[id].updates++
	tr.want[id].reads += 6
	tr.settle()
}

// roundBrief archives a customer that is still being created: what was decided on comes first.
func roundBrief(tr *trial, n int) {
	id, w := tr.asks(fmt.Sprint("brief-", n))
	a := tr.ask(http.MethodDelete, "/v1/customers/"+id, nil)
	require.Equal(tr.t, http.StatusNoContent, a.status, string(a.body))
	w.archived, w.linked, w.deletes = true, false, 1
	w.wishes++
	tr.settle()
}

// roundGoneMeanwhile changes a customer whose remote customer has been deleted, before anybody has heard of it.
func roundGoneMeanwhile(tr *trial, n int) {
	id := tr.ids()[n-1]
	tr.server.PauseDelivery()
	tr.stripe.remove(tr.t, tr.remoteOf(id))
	tr.patch(id, object{"name": fmt.Sprint(marker, " too late ", n)})
	w := tr.want[id]
	w.archived, w.linked = true, false
	w.reads += 4
	tr.quietly()
	tr.server.ResumeDelivery()
	tr.settle()
}

// roundAdopt lets a remote customer arrive that has the external id of a customer whose own create was refused. The two
// are linked, and the platform's values go over there.
func roundAdopt(tr *trial, n int) {
	id := tr.ids()[n-1]
	r := remotePerson(fmt.Sprint("adopted-", n))
	r["metadata"].(object)["external_id"] = tr.externalID(id)
	tr.stripe.create(tr.t, r)
	w := tr.want[id]
	w.creates, w.updates = 0, 1
	tr.reaches(id, "synced")
	tr.settle()
}

func (tr *trial) externalID(id string) string {
	tr.t.Helper()
	return tr.ask(http.MethodGet, "/v1/customers/"+id, nil).customer(tr.t, http.StatusOK).ExternalID
}

func roundEdited(tr *trial, n int) {
	tr.edit(tr.ids()[0], object{"phone": fmt.Sprint("+1 555 01", 10+n)})
	tr.settle()
}

func roundRemoved(tr *trial, n int) {
	id := tr.ids()[n-1]
	tr.stripe.remove(tr.t, tr.remoteOf(id))
	tr.want[id].archived, tr.want[id].linked = true, false
	tr.settle()
}

// roundFetch makes two states of one second, whose order only the provider can tell.
func roundFetch(tr *trial, n int) {
	now := time.Now()
	tr.server.SetClock(func() time.Time { return now })
	id := tr.arrives(fmt.Sprint("tie-", n))
	name := fmt.Sprint(marker, " the second of a second ", n)
	tr.stripe.edit(tr.t, tr.remoteOf(id), object{"name": name})
	tr.want[id].fields["name"] = name
	tr.want[id].reads = 4
	tr.settle()
	tr.server.SetClock(time.Now)
}

// roundRepair has a person spoil our mark over there: what comes in leaves something to do for the other direction.
func roundRepair(tr *trial, n int) {
	id := tr.ids()[0]
	tr.server.AdvanceClock(3 * time.Second)
	tr.stripe.edit(tr.t, tr.remoteOf(id), object{"metadata": object{"flexprice_customer_id": fmt.Sprint("spoiled ", n)}})
	tr.want[id].updates++
	tr.want[id].repairs = true
	tr.settle()
}

// roundProve makes a customer whose create is answered by a failure that the provider remembers. Nobody else tells what
// became of it: deliveries wait.
func roundProve(tr *trial, n int, kind stripetest.FaultKind) {
	tr.server.PauseDelivery()
	tr.server.AddFault(stripetest.Fault{Kind: kind, Op: "create"})
	_, w := tr.asks(fmt.Sprint("doubt-", n))
	w.reads = 6
	tr.quietly()
	tr.server.ResumeDelivery()
	tr.settle()
}

func roundRefused(tr *trial, n int) {
	tr.server.AddFault(stripetest.Fault{Kind: stripetest.BadRequest, Op: "create", Param: "email", Code: "email_invalid"})
	id, _ := tr.asks(fmt.Sprint("refused-", n))
	tr.reaches(id, "parked")
	tr.patch(id, object{"name": fmt.Sprint(marker, " healed ", n)})
	tr.settle()
}

func roundUnavailable(tr *trial, n int) {
	tr.server.AddFault(stripetest.Fault{Kind: stripetest.Error503, Op: "create"})
	tr.born(fmt.Sprint("unavailable-", n))
}

func (tr *trial) reaches(id, state string) {
	tr.t.Helper()
	tr.until("the mapping of "+id, func(t tester) { require.Equal(t, state, tr.customer(t, id).stripe().State) })
}
