package tandem_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

var decideEpoch = time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)

func second(n int) time.Time { return decideEpoch.Add(time.Duration(n) * time.Second) }

var policy = tandem.Policy{Environment: "test", ClockTolerance: time.Second}

// fromEvent is a look at cus_1 that an event made at that second.
func fromEvent(n int, f tandem.Fields) tandem.RemoteState {
	return tandem.RemoteState{
		Provider: "stripe", RemoteID: "cus_1", Source: tandem.FromEvent, SeenFrom: second(n), SeenTo: second(n), Created: second(0),
		Fields: f, EventID: "evt_1", EventType: "customer.updated",
	}
}

// fromCall is an answer that arrived at that second, after a call of less than one.
func fromCall(n int, f tandem.Fields) tandem.RemoteState {
	s := fromEvent(n, f)
	s.Source, s.SeenFrom, s.EventID, s.EventType = tandem.FromResponse, second(n-2), "", ""
	return s
}

func fromFetch(n int, f tandem.Fields) tandem.RemoteState {
	s := fromCall(n, f)
	s.Source = tandem.FromFetch
	return s
}

func with(s tandem.RemoteState, change func(*tandem.RemoteState)) tandem.RemoteState {
	change(&s)
	return s
}

func customer(id string, f tandem.Fields) tandem.Customer {
	return tandem.Customer{
		ID: id, Status: tandem.Active, Version: 3, Name: f.Name, Email: f.Email, Phone: f.Phone, Address: f.Address, Metadata: f.Metadata,
	}
}

// linked is a customer that came from the provider and was in step with cus_1 at second 10.
func linked(f tandem.Fields) tandem.Pair {
	return tandem.Pair{Customer: customer("cust_1", f), Mapping: &tandem.Mapping{
		ID: "eim_1", CustomerID: "cust_1", Provider: "stripe", RemoteID: "cus_1", State: tandem.Synced, Version: 7, Pushed: 2,
		Base: &f, AsOfFrom: second(10), AsOf: second(10),
		Metadata: map[string]string{tandem.MetaSyncDirection: tandem.ProviderToPlatform},
	}}
}

// pending is a customer whose create is under way.
func pending(f tandem.Fields) *tandem.Pair {
	c := customer("cust_1", f)
	c.Version = 1
	m := &tandem.Mapping{
		ID: "eim_1", CustomerID: c.ID, Provider: "stripe", State: tandem.Pending, Version: 1,
		Metadata: map[string]string{tandem.MetaSyncDirection: tandem.PlatformToProvider},
	}
	_, body := tandem.PlanNext(c, *m, policy)
	m.Claim = &tandem.Claim{Action: tandem.ActCreate, Key: tandem.CreateKey("test", c.ID, 0), Body: body, Version: 1}
	return &tandem.Pair{Customer: c, Mapping: m}
}

func reserved(environment, id string) tandem.Fields {
	return tandem.Fields{Name: "Ada", Reserved: map[string]string{tandem.KeyEnvironment: environment, tandem.KeyCustomerID: id}}
}

func TestDecideNothingLinked(t *testing.T) {
	t.Parallel()
	ada := tandem.Fields{Name: "Ada"}
	unlinkedPair := &tandem.Pair{Customer: customer("cust_1", ada)}
	elsewhere := linked(ada)
	elsewhere.Mapping.RemoteID = "cus_2"
	archived := &tandem.Pair{Customer: customer("cust_1", ada)}
	archived.Customer.Status = tandem.Archived
	ext := tandem.Fields{Name: "Ada", Reserved: map[string]string{tandem.KeyExternalID: "ext"}}

	for name, tt := range map[string]struct {
		state  tandem.RemoteState
		view   tandem.View
		act    tandem.Act
		want   tandem.EventState
		reason string
	}{
		"a new one is imported":                    {fromEvent(10, ada), tandem.View{}, tandem.ActImport, tandem.EventApplied, ""},
		"one without a name too":                   {fromEvent(10, tandem.Fields{}), tandem.View{}, tandem.ActImport, tandem.EventApplied, ""},
		"an update of an unknown one too":          {fromEvent(10, ada), tandem.View{}, tandem.ActImport, tandem.EventApplied, ""},
		"a tombstone stays":                        {fromEvent(99, ada), tandem.View{Tombstone: true}, tandem.ActNone, tandem.EventIgnored, tandem.ReasonDeleted},
		"a deletion of an unknown one":             {with(fromEvent(10, ada), func(s *tandem.RemoteState) { s.Deleted = true }), tandem.View{}, tandem.ActArchive, tandem.EventIgnored, tandem.ReasonDeleted},
		"another account":                          {with(fromEvent(10, ada), func(s *tandem.RemoteState) { s.Account = "acct_2" }), tandem.View{}, tandem.ActNone, tandem.EventIgnored, tandem.ReasonOtherAccount},
		"another mode":                             {with(fromEvent(10, ada), func(s *tandem.RemoteState) { s.Livemode = true }), tandem.View{}, tandem.ActNone, tandem.EventIgnored, tandem.ReasonOtherMode},
		"another environment":                      {fromEvent(10, reserved("prod", "cust_1")), tandem.View{Named: pending(ada)}, tandem.ActNone, tandem.EventIgnored, tandem.ReasonOtherTandem},
		"ours, named by metadata: completed":       {fromEvent(10, reserved("test", "cust_1")), tandem.View{Named: pending(ada)}, tandem.ActComplete, tandem.EventApplied, ""},
		"ours, unknown customer":                   {fromEvent(10, reserved("test", "cust_9")), tandem.View{}, tandem.ActNone, tandem.EventConflict, tandem.ReasonUnknownOurs},
		"ours, the id taken away":                  {fromEvent(10, reserved("test", "")), tandem.View{}, tandem.ActNone, tandem.EventConflict, tandem.ReasonUnknownOurs},
		"ours, linked elsewhere":                   {fromEvent(10, reserved("test", "cust_1")), tandem.View{Named: &elsewhere}, tandem.ActNone, tandem.EventConflict, tandem.ReasonLinkedOther},
		"ours, unlinked by a person":               {fromEvent(10, reserved("test", "cust_1")), tandem.View{Named: unlinkedPair}, tandem.ActNone, tandem.EventIgnored, tandem.ReasonUnlinked},
		"ours, archived":                           {fromEvent(10, reserved("test", "cust_1")), tandem.View{Named: archived}, tandem.ActNone, tandem.EventIgnored, tandem.ReasonCustomerGone},
		"this very one was unlinked":               {fromEvent(10, ada), tandem.View{Ended: tandem.Unlinked}, tandem.ActNone, tandem.EventIgnored, tandem.ReasonUnlinked},
		"this very one was archived":               {fromEvent(10, ada), tandem.View{Ended: tandem.DeletedLocal}, tandem.ActNone, tandem.EventIgnored, tandem.ReasonCustomerGone},
		"its external id is free":                  {fromEvent(10, ext), tandem.View{}, tandem.ActImport, tandem.EventApplied, ""},
		"its external id is an unlinked one's":     {fromEvent(10, ext), tandem.View{External: unlinkedPair}, tandem.ActLink, tandem.EventApplied, ""},
		"its external id is linked elsewhere":      {fromEvent(10, ext), tandem.View{External: &elsewhere}, tandem.ActNone, tandem.EventConflict, tandem.ReasonExternalTaken},
		"its external id's create is under way":    {fromEvent(10, ext), tandem.View{External: pending(ada)}, tandem.ActNone, tandem.EventConflict, tandem.ReasonExternalTaken},
		"its metadata goes before its external id": {fromEvent(10, reserved("test", "cust_1")), tandem.View{Named: pending(ada), External: &elsewhere}, tandem.ActComplete, tandem.EventApplied, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := tandem.Decide(tt.state, tt.view, policy)
			require.Equal(t, []any{tt.act, tt.want, tt.reason}, []any{d.Act, d.State, d.Reason})
			if tt.act == tandem.ActNone || tt.act == tandem.ActArchive {
				require.Nil(t, d.Customer)
				require.Nil(t, d.Mapping)
				require.Empty(t, d.Journal)
				require.False(t, d.Poke)
				return
			}
			require.Equal(t, "cus_1", d.Mapping.RemoteID)
			require.Equal(t, second(10), d.Mapping.AsOf)
			require.NotEmpty(t, d.Journal)
		})
	}
}

func TestDecideImport(t *testing.T) {
	t.Parallel()
	f := tandem.Fields{Name: "Ada", Email: "e", Metadata: map[string]string{"k": "v"}, Reserved: map[string]string{tandem.KeyExternalID: "ext"}}
	for source, via := range map[tandem.Source]string{
		tandem.FromEvent: tandem.ByWebhook, tandem.FromList: tandem.ByImport, tandem.FromFetch: tandem.ByAPI,
	} {
		s := with(fromEvent(10, f), func(s *tandem.RemoteState) { s.Source = source })
		d := tandem.Decide(s, tandem.View{}, policy)
		require.Equal(t, tandem.Customer{Status: tandem.Active, ExternalID: "ext", Name: "Ada", Email: "e", Metadata: map[string]string{"k": "v"}}, *d.Customer)
		require.Equal(t, tandem.Synced, d.Mapping.State)
		require.Equal(t, via, d.Mapping.Metadata[tandem.MetaCreatedVia])
		require.Equal(t, tandem.ProviderToPlatform, d.Mapping.Metadata[tandem.MetaSyncDirection])
		require.False(t, d.Poke, "an import costs no write at the provider")
		action, _ := tandem.PlanNext(*d.Customer, *d.Mapping, policy)
		require.Equal(t, tandem.ActNothing, action)
		require.Len(t, d.Journal, 1)
		require.Equal(t, "create", d.Journal[0].Action)
	}

	t.Run("what only the platform may change comes in once", func(t *testing.T) {
		t.Parallel()
		owned := policy
		owned.Merge = tandem.MergePolicy{"email": {Owner: tandem.OwnedByPlatform}, "name": {Owner: tandem.NotSynced}}
		d := tandem.Decide(fromEvent(10, f), tandem.View{}, owned)
		require.Equal(t, "e", d.Customer.Email)
		require.Empty(t, d.Customer.Name, "what is not synced does not")
		require.Equal(t, tandem.OwnedByPlatform, owned.Merge["email"].Owner, "the policy itself is not touched")
	})
}

func TestDecideLink(t *testing.T) {
	t.Parallel()
	here := &tandem.Pair{Customer: customer("cust_1", tandem.Fields{Name: "Here", Phone: "1"})}
	there := tandem.Fields{Name: "There", Email: "e", Reserved: map[string]string{tandem.KeyExternalID: "ext"}}
	d := tandem.Decide(fromEvent(10, there), tandem.View{External: here}, policy)
	require.Equal(t, "cust_1", d.Mapping.CustomerID)
	require.Equal(t, "e", d.Customer.Email)
	require.Equal(t, "Here", d.Customer.Name)
	require.True(t, d.Poke)
	_, patch := tandem.PlanNext(*d.Customer, *d.Mapping, policy)
	require.Equal(t, tandem.Patch{Name: ptr("Here"), Phone: ptr("1")}, patch)
	require.Equal(t, "link", d.Journal[0].Action)
}

func TestDecideComplete(t *testing.T) {
	t.Parallel()
	ada := tandem.Fields{Name: "Ada", Email: "e"}

	t.Run("by the answer", func(t *testing.T) {
		t.Parallel()
		p := pending(ada)
		body := tandem.Fields{}.With(p.Mapping.Claim.Body)
		s := with(fromCall(10, body), func(s *tandem.RemoteState) { s.Key, s.After = p.Mapping.Claim.Key, 1 })
		d := tandem.Decide(s, tandem.View{Named: p}, policy)
		require.Equal(t, tandem.ActComplete, d.Act)
		require.Nil(t, d.Customer)
		require.Nil(t, d.Mapping.Claim)
		require.Equal(t, tandem.Synced, d.Mapping.State)
		require.Equal(t, int64(1), d.Mapping.Pushed)
		require.Equal(t, body, *d.Mapping.Base)
		require.Equal(t, []string{"create"}, actions(d))
		require.Equal(t, tandem.Outbound, d.Journal[0].Direction)
	})

	t.Run("by its event, without any metadata: the key is proof", func(t *testing.T) {
		t.Parallel()
		p := pending(ada)
		s := with(fromEvent(10, ada), func(s *tandem.RemoteState) { s.Key = p.Mapping.Claim.Key })
		require.Equal(t, "cust_1", s.NamedCustomer("test"))
		d := tandem.Decide(s, tandem.View{Named: p}, policy)
		require.Equal(t, tandem.ActComplete, d.Act)
		require.True(t, d.Poke, "the metadata that somebody took away is put back")
	})

	t.Run("what was edited here meanwhile is left to do, what was edited there comes in", func(t *testing.T) {
		t.Parallel()
		p := pending(ada)
		p.Customer.Name, p.Customer.Version = "Later", 2
		there := tandem.Fields{}.With(p.Mapping.Claim.Body)
		there.Phone = "1"
		d := tandem.Decide(fromEvent(10, there), tandem.View{Named: p}, policy)
		require.Equal(t, "1", d.Customer.Phone)
		require.Equal(t, "Later", d.Customer.Name)
		require.True(t, d.Poke)
		_, patch := tandem.PlanNext(*d.Customer, *d.Mapping, policy)
		require.Equal(t, tandem.Patch{Name: ptr("Later")}, patch)
	})

	t.Run("a replayed answer may be as old as the customer", func(t *testing.T) {
		t.Parallel()
		p := pending(ada)
		s := with(fromCall(50, tandem.Fields{}.With(p.Mapping.Claim.Body)), func(s *tandem.RemoteState) {
			s.Key, s.After, s.Replayed, s.Created = p.Mapping.Claim.Key, 1, true, second(20)
		})
		d := tandem.Decide(s, tandem.View{Named: p}, policy)
		require.Equal(t, second(20), d.Mapping.AsOfFrom)
		require.False(t, d.Mapping.AsOf.Before(second(50)))
	})

	t.Run("a tombstone ends it", func(t *testing.T) {
		t.Parallel()
		p := pending(ada)
		s := with(fromCall(10, ada), func(s *tandem.RemoteState) { s.Key = p.Mapping.Claim.Key })
		d := tandem.Decide(s, tandem.View{Named: p, Tombstone: true}, policy)
		require.Equal(t, tandem.ActArchive, d.Act)
		require.Equal(t, tandem.Ended, d.Mapping.State)
		require.Nil(t, d.Mapping.Claim)
		require.Equal(t, tandem.Archived, d.Customer.Status)

		s.Key = ""
		s.Fields = reserved("test", "cust_1")
		require.Equal(t, tandem.ActNone, tandem.Decide(s, tandem.View{Named: p, Tombstone: true}, policy).Act, "metadata can be copied; the key cannot")
	})
}

func actions(d tandem.Decision) []string {
	var out []string
	for _, e := range d.Journal {
		out = append(out, e.Action)
	}
	return out
}

func TestDecideDeleted(t *testing.T) {
	t.Parallel()
	ada := tandem.Fields{Name: "Ada"}
	gone := with(fromEvent(5, tandem.Fields{}), func(s *tandem.RemoteState) { s.Deleted = true })

	t.Run("archives the mapping and the customer, however old", func(t *testing.T) {
		t.Parallel()
		pair := linked(ada)
		pair.Mapping.Claim = &tandem.Claim{Action: tandem.ActUpdate, Key: "k"}
		d := tandem.Decide(gone, tandem.View{Linked: &pair}, policy)
		require.Equal(t, []any{tandem.ActArchive, tandem.EventApplied}, []any{d.Act, d.State})
		require.Equal(t, tandem.Ended, d.Mapping.State)
		require.Equal(t, tandem.DeletedRemote, d.Mapping.ArchivedReason)
		require.Nil(t, d.Mapping.Claim)
		require.Equal(t, tandem.Archived, d.Customer.Status)
		require.Equal(t, "Ada", d.Customer.Name, "what it was stays readable")
		require.Equal(t, []string{"unlink", "archive"}, actions(d))
		require.False(t, d.Poke)
	})

	t.Run("only unlinks if that is the policy", func(t *testing.T) {
		t.Parallel()
		keep := policy
		keep.OnRemoteDelete = tandem.OnlyUnlink
		pair := linked(ada)
		d := tandem.Decide(gone, tandem.View{Linked: &pair}, keep)
		require.Nil(t, d.Customer)
		require.Equal(t, tandem.Ended, d.Mapping.State)
		require.Equal(t, []string{"unlink"}, actions(d))
	})

	t.Run("an archived customer is not archived again", func(t *testing.T) {
		t.Parallel()
		pair := linked(ada)
		pair.Customer.Status = tandem.Archived
		d := tandem.Decide(gone, tandem.View{Linked: &pair}, policy)
		require.Nil(t, d.Customer)
		require.Equal(t, []string{"unlink"}, actions(d))
	})
}
