package db_test

import (
	"testing"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

var byPerson = tandem.Work{Cause: tandem.Cause{Kind: tandem.ByOperator, ID: "op_1"}}

func linking(customerID, remoteID string, winner tandem.Winner) tandem.Link {
	return tandem.Link{ID: "lnk_" + ulid.Make().String(), CustomerID: customerID, Provider: "stripe", RemoteID: remoteID, Winner: winner}
}

func unlinking(customerID, mappingID string) tandem.Unlink {
	return tandem.Unlink{ID: "unl_" + ulid.Make().String(), CustomerID: customerID, MappingID: mappingID}
}

// look is a remote customer that was fetched at that second.
func look(remoteID string, second int, f tandem.Fields) tandem.RemoteState {
	s := event(remoteID, second, f)
	s.Source, s.SeenFrom, s.EventID, s.EventType = tandem.FromFetch, at(second-1), "", ""
	return s
}

// unlinked is a customer whose link to remoteID a person took apart.
func (b *bundle) unlinked(remoteID string) tandem.Customer {
	b.t.Helper()
	c := b.linked(remoteID)
	require.NoError(b.t, b.Unlink(b.ctx, unlinking(c.ID, b.mapping(c.ID).ID), byPerson))
	return c
}

// held is a customer with name, address and a metadata key on hold.
func held(t testing.TB, remoteID string) (*bundle, tandem.Customer) {
	t.Helper()
	b := setupWith(t, func(p *tandem.Policy) {
		p.Merge = tandem.MergePolicy{
			tandem.FieldName: {Conflict: tandem.Hold}, tandem.FieldAddress: {Conflict: tandem.Hold}, tandem.FieldMetadata: {Conflict: tandem.Hold},
		}
	})
	c := b.created("Ada", "ada@example.com")
	call := b.plan(c.ID)
	b.apply(answer(call, remoteID, 10))
	c = b.change(update(c.ID, tandem.Patch{
		Name: ptr("Ours"), Address: &tandem.Address{Line1: "1 Our St", City: "Here"}, Metadata: map[string]string{"tier": "gold"},
	}))
	f := *b.mapping(c.ID).Base
	f.Name, f.Address = "Theirs", theirs
	f.Metadata = map[string]string{"tier": "silver"}
	require.Equal(t, tandem.EventApplied, b.apply(event(remoteID, 20, f)).State)
	m := b.mapping(c.ID)
	require.Equal(t, tandem.InConfl, m.State)
	require.Len(t, m.Conflicts, 3)
	require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action, "what is on hold is pushed by nobody")
	return b, c
}

var theirs = tandem.Address{Line1: "2 Their St", Line2: "Flat 3", City: "There", State: "TX", PostalCode: "123", Country: "US"}

func resolution(id string, winners map[string]tandem.Winner) tandem.Resolve {
	return tandem.Resolve{ID: "res_" + ulid.Make().String(), CustomerID: id, Provider: "stripe", Winners: winners}
}

func (b *bundle) resolve(r tandem.Resolve) tandem.Mapping {
	b.t.Helper()
	m, err := b.Resolve(b.ctx, r, tandem.Work{Cause: tandem.Cause{Kind: tandem.ByOperator, ID: r.ID}})
	require.NoError(b.t, err)
	return m
}

func TestLink(t *testing.T) {
	t.Parallel()
	remote := tandem.Fields{Name: "Theirs", Phone: "555", Metadata: map[string]string{"both": "theirs", "there": "2"}}

	for winner, want := range map[tandem.Winner]struct {
		name, both string
		push       tandem.Patch
	}{
		tandem.PlatformWins: {"Ada", "ours", tandem.Patch{Name: ptr("Ada"), Email: ptr("ada@example.com"), Metadata: map[string]string{"both": "ours", "here": "1"}}},
		"":                  {"Ada", "ours", tandem.Patch{Name: ptr("Ada"), Email: ptr("ada@example.com"), Metadata: map[string]string{"both": "ours", "here": "1"}}},
		tandem.ProviderWins: {"Theirs", "theirs", tandem.Patch{Email: ptr("ada@example.com"), Metadata: map[string]string{"here": "1"}}},
	} {
		t.Run("winner "+string(winner), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c := b.unlinked("cus_old")
			b.change(update(c.ID, tandem.Patch{Metadata: map[string]string{"both": "ours", "here": "1"}}))
			l := linking(c.ID, "cus_1", winner)
			m, err := b.Link(b.ctx, l, look("cus_1", 50, remote), byPerson)
			require.NoError(t, err)
			require.Equal(t, "cus_1", m.RemoteID)
			require.Equal(t, tandem.Pending, m.State)
			require.Equal(t, tandem.ByOperator, m.Metadata[tandem.MetaCreatedVia])
			stored := b.mapping(c.ID)
			require.Equal(t, m.ID, stored.ID)
			require.Equal(t, m.Version, stored.Version)

			got := b.customer(c.ID)
			require.Equal(t, want.name, got.Name)
			require.Equal(t, "ada@example.com", got.Email, "only we know it")
			require.Equal(t, "555", got.Phone, "only they know it")
			require.Equal(t, map[string]string{"both": want.both, "here": "1", "there": "2"}, got.Metadata)
			require.Equal(t, 1, b.tell(c.ID)["inbound link"])

			before := b.picture()
			again, err := b.Link(b.ctx, l, look("cus_1", 60, remote), byPerson)
			require.NoError(t, err)
			require.Equal(t, m.ID, again.ID)
			require.Equal(t, before, b.picture(), "linked twice is linked once")

			call := b.plan(c.ID)
			require.Equal(t, tandem.ActUpdate, call.Action)
			require.Equal(t, want.push, call.Body)
			s := answer(call, "cus_1", 70)
			s.Fields = remote.With(call.Body)
			b.apply(s)
			require.Equal(t, tandem.Synced, b.mapping(c.ID).State)
			require.Equal(t, got.Fields(), b.customer(c.ID).Fields())
		})
	}

	t.Run("two that are equal need no call", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.unlinked("cus_old")
		m, err := b.Link(b.ctx, linking(c.ID, "cus_1", ""), look("cus_1", 50, c.Fields()), byPerson)
		require.NoError(t, err)
		require.Equal(t, tandem.Synced, m.State)
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
		require.Equal(t, c.Version, b.customer(c.ID).Version)
	})

	t.Run("the same pair again, free of old keys", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		old := b.mapping(c.ID)
		b.change(update(c.ID, tandem.Patch{Name: ptr("Later")}))
		first := b.plan(c.ID)
		require.NoError(t, b.Unlink(b.ctx, unlinking(c.ID, old.ID), byPerson))
		m, err := b.Link(b.ctx, linking(c.ID, "cus_1", ""), look("cus_1", 50, *old.Base), byPerson)
		require.NoError(t, err)
		require.NotEqual(t, old.ID, m.ID)
		second := b.plan(c.ID)
		require.Equal(t, first.Body, second.Body)
		require.NotEqual(t, first.Key, second.Key)
		require.Equal(t, tandem.EventApplied, b.apply(event("cus_1", 60, tandem.Fields{Name: "Ada", Email: "new@example.com"})).State, "its events count again")
	})

	t.Run("the mapping of a refused create is used", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "ada@example.com")
		require.NoError(t, b.Park(b.ctx, b.plan(c.ID), tandem.LastError{Class: tandem.Invalid, Code: "email_invalid", At: at(1)}, work))
		parked := b.mapping(c.ID)
		m, err := b.Link(b.ctx, linking(c.ID, "cus_1", ""), look("cus_1", 50, c.Fields()), byPerson)
		require.NoError(t, err)
		require.Equal(t, parked.ID, m.ID)
		require.Equal(t, tandem.Synced, m.State)
		require.Nil(t, b.mapping(c.ID).LastError)
	})

	t.Run("events from before the link are old news", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.unlinked("cus_old")
		_, err := b.Link(b.ctx, linking(c.ID, "cus_1", ""), look("cus_1", 50, c.Fields()), byPerson)
		require.NoError(t, err)
		require.Equal(t, tandem.EventStale, b.apply(event("cus_1", 30, tandem.Fields{Name: "Before"})).State)
		require.Equal(t, "Ada", b.customer(c.ID).Name)
	})

	for name, tt := range map[string]struct {
		arrange func(b *bundle) (tandem.Link, tandem.RemoteState)
		class   tandem.Class
		code    string
	}{
		"a customer that does not exist": {func(*bundle) (tandem.Link, tandem.RemoteState) {
			return linking(customerID(), "cus_1", ""), look("cus_1", 50, remote)
		}, tandem.Invalid, tandem.CodeCustomerNotFound},
		"an archived customer": {func(b *bundle) (tandem.Link, tandem.RemoteState) {
			c := b.unlinked("cus_old")
			b.change(archival(c.ID, ""))
			return linking(c.ID, "cus_1", ""), look("cus_1", 50, remote)
		}, tandem.Conflict, tandem.CodeCustomerArchived},
		"a remote customer that is deleted": {func(b *bundle) (tandem.Link, tandem.RemoteState) {
			return linking(b.unlinked("cus_old").ID, "cus_1", ""), deleted(look("cus_1", 50, tandem.Fields{}))
		}, tandem.Conflict, tandem.CodeRemoteGone},
		"a remote customer that was seen deleted": {func(b *bundle) (tandem.Link, tandem.RemoteState) {
			b.apply(deleted(event("cus_1", 20, tandem.Fields{})))
			return linking(b.unlinked("cus_old").ID, "cus_1", ""), look("cus_1", 50, remote)
		}, tandem.Conflict, tandem.CodeRemoteGone},
		"a customer that has another remote one": {func(b *bundle) (tandem.Link, tandem.RemoteState) {
			return linking(b.linked("cus_2").ID, "cus_1", ""), look("cus_1", 50, remote)
		}, tandem.Conflict, tandem.CodeCustomerLinked},
		"a customer whose remote one is being created": {func(b *bundle) (tandem.Link, tandem.RemoteState) {
			return linking(b.created("Ada", "").ID, "cus_1", ""), look("cus_1", 50, remote)
		}, tandem.Conflict, tandem.CodeCustomerLinked},
		"a remote customer that has another customer": {func(b *bundle) (tandem.Link, tandem.RemoteState) {
			b.linked("cus_1")
			return linking(b.unlinked("cus_old").ID, "cus_1", ""), look("cus_1", 50, remote)
		}, tandem.Conflict, tandem.CodeRemoteLinked},
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			l, state := tt.arrange(b)
			before := b.picture()
			for range 2 {
				_, err := b.Link(b.ctx, l, state, byPerson)
				requireCode(t, err, tt.class, tt.code)
			}
			require.Equal(t, before, b.picture(), "a refusal leaves nothing behind")
		})
	}

	t.Run("twenty customers want one remote customer at once: one gets it", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ids := make([]string, crowd)
		for i := range ids {
			ids[i] = b.created("Ada", "").ID
			require.NoError(t, b.Park(b.ctx, b.plan(ids[i]), tandem.LastError{Class: tandem.Invalid, Code: "no_use", At: at(1)}, work))
		}
		won := 0
		for _, err := range together(func(i int) error {
			_, err := b.Link(b.ctx, linking(ids[i], "cus_1", ""), look("cus_1", 50, remote), byPerson)
			return err
		}) {
			if err == nil {
				won++
				continue
			}
			requireCode(t, err, tandem.Conflict, tandem.CodeRemoteLinked)
		}
		require.Equal(t, 1, won)
	})
}

func TestUnlink(t *testing.T) {
	t.Parallel()

	t.Run("neither side follows the other any more", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		base := *b.mapping(c.ID).Base
		u := unlinking(c.ID, b.mapping(c.ID).ID)
		require.NoError(t, b.Unlink(b.ctx, u, byPerson))
		b.requireEnded(c.ID, tandem.Unlinked)
		require.Equal(t, 1, b.tell(c.ID)["outbound unlink"])
		require.Equal(t, tandem.Active, b.customer(c.ID).Status)
		before := b.picture()
		require.NoError(t, b.Unlink(b.ctx, u, byPerson), "unlinked twice is unlinked once")
		require.NoError(t, b.Unlink(b.ctx, unlinking(c.ID, u.MappingID), byPerson), "also as another wish")
		require.Equal(t, before, b.picture())

		base.Name = "Theirs" // its reserved metadata still names the customer
		for _, s := range []tandem.RemoteState{event("cus_1", 30, base), look("cus_1", 40, base)} {
			out := b.apply(s)
			require.Equal(t, tandem.EventIgnored, out.State)
			require.Equal(t, tandem.ReasonUnlinked, out.Reason)
		}
		require.Equal(t, "Ada", b.customer(c.ID).Name)
		b.change(update(c.ID, tandem.Patch{Name: ptr("Later")}))
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
		require.Equal(t, 1, b.count(`SELECT count(*) FROM entity_integration_mappings`))
	})

	t.Run("asked for, the customer gets a remote customer anew", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.unlinked("cus_1")
		old := b.mapping(c.ID)
		c = b.change(update(c.ID, tandem.Patch{Name: ptr("Later")}))
		call, err := b.Plan(b.ctx, c.ID, "stripe", tandem.Ask{Relink: true})
		require.NoError(t, err)
		require.Equal(t, tandem.ActCreate, call.Action)
		require.Equal(t, "Later", *call.Body.Name)
		m := b.mapping(c.ID)
		require.NotEqual(t, old.ID, m.ID)
		require.Greater(t, m.Epoch, old.Epoch)
		require.NotEqual(t, tandem.CreateKey("test", c.ID, 0), call.Key, "which would be answered with cus_1")
		again, err := b.Plan(b.ctx, c.ID, "stripe", tandem.Ask{Relink: true})
		require.NoError(t, err)
		require.Equal(t, call, again)
		require.Equal(t, tandem.EventApplied, b.apply(answer(call, "cus_2", 50)).State)
		require.Equal(t, "cus_2", b.mapping(c.ID).RemoteID)
		require.Equal(t, tandem.ReasonUnlinked, b.apply(event("cus_1", 60, *old.Base)).Reason, "the old one stays what it was")
	})

	t.Run("asked for a customer that is linked, nothing is made", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		before := b.picture()
		call, err := b.Plan(b.ctx, c.ID, "stripe", tandem.Ask{Relink: true, Force: true})
		require.NoError(t, err)
		require.Equal(t, tandem.ActNothing, call.Action)
		require.Equal(t, before, b.picture())
	})

	t.Run("refused while the remote customer is being created", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		before := b.picture()
		err := b.Unlink(b.ctx, unlinking(c.ID, b.mapping(c.ID).ID), byPerson)
		requireCode(t, err, tandem.Conflict, tandem.CodeCustomerLinked)
		require.Equal(t, before, b.picture())
		require.NoError(t, b.Park(b.ctx, b.plan(c.ID), tandem.LastError{Class: tandem.Invalid, Code: "no_use", At: at(1)}, work))
		require.NoError(t, b.Unlink(b.ctx, unlinking(c.ID, b.mapping(c.ID).ID), byPerson))
		b.requireEnded(c.ID, tandem.Unlinked)
	})

	t.Run("an update in flight ends with the link, and its answer changes nothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		b.change(update(c.ID, tandem.Patch{Name: ptr("Later")}))
		call := b.plan(c.ID)
		s := answer(call, "cus_1", 30)
		s.Fields = b.mapping(c.ID).Base.With(call.Body)
		require.NoError(t, b.Unlink(b.ctx, unlinking(c.ID, call.MappingID), byPerson))
		before := b.picture()
		require.Equal(t, tandem.ReasonUnlinked, b.apply(s).Reason)
		require.NoError(t, b.Park(b.ctx, call, tandem.LastError{Class: tandem.Bug, Code: "late", At: at(1)}, work))
		require.NoError(t, b.Renew(b.ctx, call, work))
		require.Equal(t, before, b.picture())
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
	})

	t.Run("refused: somebody else's mapping, and none at all", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c, other := b.linked("cus_1"), b.linked("cus_2")
		before := b.picture()
		err := b.Unlink(b.ctx, unlinking(c.ID, b.mapping(other.ID).ID), byPerson)
		requireCode(t, err, tandem.Invalid, tandem.CodeMappingNotFound)
		err = b.Unlink(b.ctx, unlinking(c.ID, "eim_"+ulid.Make().String()), byPerson)
		requireCode(t, err, tandem.Invalid, tandem.CodeMappingNotFound)
		err = b.Unlink(b.ctx, unlinking(customerID(), b.mapping(c.ID).ID), byPerson)
		requireCode(t, err, tandem.Invalid, tandem.CodeCustomerNotFound)
		require.Equal(t, before, b.picture())
	})
}

func TestResolve(t *testing.T) {
	t.Parallel()
	all := func(w tandem.Winner) map[string]tandem.Winner {
		return map[string]tandem.Winner{"name": w, "address": w, "metadata.tier": w}
	}

	t.Run("the provider wins: the customer is theirs, part by part", func(t *testing.T) {
		t.Parallel()
		b, c := held(t, "cus_1")
		r := resolution(c.ID, all(tandem.ProviderWins))
		m := b.resolve(r)
		require.Empty(t, m.Conflicts)
		got := b.customer(c.ID)
		require.Equal(t, "Theirs", got.Name)
		require.Equal(t, theirs, got.Address)
		require.Equal(t, "silver", got.Metadata["tier"])
		require.Equal(t, c.Version+1, got.Version)
		require.Equal(t, 1, b.tell(c.ID)["inbound resolve"])
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
		require.Equal(t, tandem.Synced, b.mapping(c.ID).State)

		before := b.picture()
		b.resolve(r)
		require.Equal(t, before, b.picture(), "decided twice is decided once")
	})

	t.Run("the platform wins: its values are pushed", func(t *testing.T) {
		t.Parallel()
		b, c := held(t, "cus_1")
		m := b.resolve(resolution(c.ID, all(tandem.PlatformWins)))
		require.Equal(t, tandem.Pending, m.State)
		require.Equal(t, c, b.customer(c.ID))
		require.Equal(t, tandem.ActLook, b.plan(c.ID).Action, "it may have been changed over there once more")
		call := b.planAfterLook(c.ID)
		require.Equal(t, tandem.ActUpdate, call.Action)
		require.Equal(t, tandem.Patch{Name: ptr("Ours"), Address: &c.Address, Metadata: map[string]string{"tier": "gold"}}, call.Body)
		s := answer(call, "cus_1", 40)
		s.Fields = b.mapping(c.ID).Base.With(call.Body)
		b.apply(s)
		m = b.mapping(c.ID)
		require.Equal(t, tandem.Synced, m.State)
		require.Empty(t, m.Conflicts)
	})

	t.Run("field by field", func(t *testing.T) {
		t.Parallel()
		b, c := held(t, "cus_1")
		m := b.resolve(resolution(c.ID, map[string]tandem.Winner{"name": tandem.ProviderWins}))
		require.Equal(t, tandem.InConfl, m.State)
		require.Len(t, m.Conflicts, 2)
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
		require.Equal(t, tandem.InConfl, b.mapping(c.ID).State)
		b.resolve(resolution(c.ID, map[string]tandem.Winner{"address": tandem.PlatformWins}))
		body := b.planAfterLook(c.ID).Body
		require.Equal(t, &c.Address, body.Address)
		require.Nil(t, body.Name)
		require.Empty(t, body.Metadata)
		require.Equal(t, tandem.InConfl, b.mapping(c.ID).State, "the rest still waits")
		require.Equal(t, "Theirs", b.customer(c.ID).Name)
	})

	t.Run("a later edit over there, seen with the conflict open, is what counts", func(t *testing.T) {
		t.Parallel()
		b, c := held(t, "cus_1")
		f := tandem.Fields{Name: "Theirs again", Email: "ada@example.com", Address: theirs, Metadata: map[string]string{"tier": "silver"}, Reserved: b.mapping(c.ID).Base.Reserved}
		b.apply(event("cus_1", 40, f))
		b.resolve(resolution(c.ID, all(tandem.ProviderWins)))
		require.Equal(t, "Theirs again", b.customer(c.ID).Name)
	})

	t.Run("refused: a field that is not on hold takes the others with it", func(t *testing.T) {
		t.Parallel()
		b, c := held(t, "cus_1")
		before := b.picture()
		for _, field := range []string{"email", "metadata.other", "nonsense"} {
			_, err := b.Resolve(b.ctx, resolution(c.ID, map[string]tandem.Winner{"name": tandem.ProviderWins, field: tandem.ProviderWins}), byPerson)
			requireCode(t, err, tandem.Invalid, tandem.CodeInvalidRequest)
		}
		require.Equal(t, before, b.picture())
	})

	t.Run("refused: nobody, no link, not linked yet, and unlinked", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		winners := map[string]tandem.Winner{"name": tandem.PlatformWins}
		_, err := b.Resolve(b.ctx, resolution(customerID(), winners), byPerson)
		requireCode(t, err, tandem.Invalid, tandem.CodeCustomerNotFound)
		for _, id := range []string{b.created("Ada", "").ID, b.unlinked("cus_1").ID} {
			_, err = b.Resolve(b.ctx, resolution(id, winners), byPerson)
			requireCode(t, err, tandem.Invalid, tandem.CodeMappingNotFound)
		}
	})
}

func TestRenew(t *testing.T) {
	t.Parallel()

	t.Run("a create that did not happen is made anew under a new key", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "ada@example.com")
		old := b.plan(c.ID)
		b.change(update(c.ID, tandem.Patch{Name: ptr("Later")}))
		before := b.mapping(c.ID)
		require.NoError(t, b.Renew(b.ctx, old, work))
		m := b.mapping(c.ID)
		require.Nil(t, m.Claim)
		require.Nil(t, m.LastError)
		require.Equal(t, tandem.Pending, m.State)
		require.Equal(t, before.Epoch+1, m.Epoch)
		require.Equal(t, 1, b.tell(c.ID)["outbound renew"])

		picture := b.picture()
		require.NoError(t, b.Renew(b.ctx, old, work))
		require.Equal(t, picture, b.picture(), "given up twice is given up once")

		call := b.plan(c.ID)
		require.NotEqual(t, old.Key, call.Key)
		require.Equal(t, "Later", *call.Body.Name, "frozen anew")
		picture = b.picture()
		require.NoError(t, b.Renew(b.ctx, old, work))
		require.Equal(t, picture, b.picture(), "the next call is not the one that was given up")
	})

	t.Run("an update that is shown as failing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		b.change(update(c.ID, tandem.Patch{Name: ptr("Later")}))
		old := b.plan(c.ID)
		require.NoError(t, b.NoteAttempt(b.ctx, old, tandem.Errorf(tandem.Ambiguous, tandem.CodeSavedFailure, "no"), 1))
		require.Equal(t, tandem.Retrying, b.mapping(c.ID).State)
		require.NoError(t, b.Renew(b.ctx, old, work))
		require.Nil(t, b.mapping(c.ID).LastError)
		call := b.plan(c.ID)
		require.Equal(t, old.Body, call.Body)
		require.NotEqual(t, old.Key, call.Key)
	})

	t.Run("a call that was answered meanwhile, and a mapping that has ended", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		call := b.plan(c.ID)
		b.apply(answer(call, "cus_1", 10))
		before := b.picture()
		require.NoError(t, b.Renew(b.ctx, call, work))
		require.Equal(t, before, b.picture())
		b.apply(deleted(event("cus_1", 20, tandem.Fields{})))
		before = b.picture()
		require.NoError(t, b.Renew(b.ctx, call, work))
		require.Equal(t, before, b.picture())
	})
}
