package edges_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// createTimesOutAfterTheCommit: the remote customer is made and the answer never comes. The same request again, under
// the same key, brings the same customer.
func createTimesOutAfterTheCommit(t *testing.T) {
	w := newWorldThatWaits(t, time.Second)
	w.stripe.AddFault(stripetest.Fault{Kind: stripetest.ApplyHang, Op: "create"})
	id := w.stored(ada())
	w.agree(id)
	posts := w.calls("create")
	require.GreaterOrEqual(t, len(posts), 2)
	require.False(t, posts[0].Replayed)
	for _, p := range posts[1:] {
		require.True(t, p.Replayed)
		require.Equal(t, posts[0].IdempotencyKey, p.IdempotencyKey)
		require.Equal(t, posts[0].Form, p.Form)
	}
}

// editWhileACreateIsAmbiguous: the create's body is frozen, whatever is edited; the edit is an update of its own.
func editWhileACreateIsAmbiguous(t *testing.T) {
	w := newWorld(t)
	w.stripe.AddFault(stripetest.Fault{Kind: stripetest.ApplyDrop, Op: "create"})
	id := w.stored(ada())
	w.meanwhile("create", func() { w.edit(id, tandem.Patch{Name: ptr("Ada Later"), Phone: ptr("")}) })
	c, there := w.agree(id)
	require.Equal(t, "Ada Later", there.Name)
	require.Empty(t, c.Phone)
	posts := w.calls("create")
	require.Len(t, posts, 2)
	require.Equal(t, posts[0].Form, posts[1].Form)
	updates := w.calls("update")
	require.Len(t, updates, 1)
	require.Equal(t, form("name", "Ada Later", "phone", ""), updates[0].Form)
}

// editWhileAnUpdateIsInFlight: also one that takes the first edit back, and one of the field under way, arrive.
func editWhileAnUpdateIsInFlight(t *testing.T) {
	for name, edits := range map[string][]tandem.Patch{
		"another field":    {{Phone: ptr("+44 1225 000000")}},
		"the same field":   {{Name: ptr("Ada Third")}},
		"taken back":       {{Name: ptr("Ada Example")}},
		"there and back":   {{Name: ptr("Ada Third")}, {Name: ptr("Ada Second")}},
		"several in a row": {{Name: ptr("Ada Third")}, {Phone: ptr("")}, {Metadata: map[string]string{"plan": "", "seat": "7"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, _ := w.linked(ada())
			w.edit(id, tandem.Patch{Name: ptr("Ada Second")})
			w.meanwhile("update", func() {
				for _, e := range edits {
					w.edit(id, e)
				}
			})
			c, _ := w.agree(id) // holds the customer equal to the remote one
			require.Equal(t, int64(2+len(edits)), c.Version)
			require.LessOrEqual(t, len(w.calls("update")), 2)
		})
	}
}

// editWhileAnUpdateIsInDoubt: its worker died with the answer. The next one sends what was frozen once more, and the edit
// afterwards.
func editWhileAnUpdateIsInDoubt(t *testing.T) {
	w := newWorld(t)
	id, _ := w.linked(ada())
	w.edit(id, tandem.Patch{Name: ptr("Ada Second")})
	w.loseTheAnswer(id)
	w.edit(id, tandem.Patch{Name: ptr("Ada Third"), Phone: ptr("")})
	w.agree(id)
	updates := w.calls("update")
	require.Len(t, updates, 3)
	require.Equal(t, updates[0].IdempotencyKey, updates[1].IdempotencyKey)
	require.Equal(t, form("name", "Ada Second"), updates[1].Form)
	require.True(t, updates[1].Replayed)
	require.Equal(t, form("name", "Ada Third", "phone", ""), updates[2].Form)
}

// dayOldCreateIsLookedFor: the provider has forgotten the key. It would make a second customer, so somebody looks first.
func dayOldCreateIsLookedFor(t *testing.T) {
	for name, kind := range map[string]stripetest.FaultKind{"it had happened": stripetest.ApplyDrop, "it had not": stripetest.DropBefore} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.stripe.AddFault(stripetest.Fault{Kind: kind, Op: "create"})
			id := w.stored(ada())
			require.Error(t, w.called(id))
			w.stripe.AdvanceClock(25 * time.Hour)
			_, err := w.store.DB().ExecContext(t.Context(), `
				UPDATE entity_integration_mappings SET claim = jsonb_set(claim, '{at}', to_jsonb(now() - interval '25 hours'))`)
			require.NoError(t, err)
			w.agree(id)
			ops := w.calls("")
			require.Equal(t, "create", ops[0].Op)
			require.Equal(t, "list", ops[1].Op, "it looks before it posts")
			posts := w.calls("create")
			if kind == stripetest.ApplyDrop {
				require.Len(t, posts, 1)
				return
			}
			require.Len(t, posts, 2)
			require.NotEqual(t, posts[0].IdempotencyKey, posts[1].IdempotencyKey)
		})
	}
}

// savedFailureOfACreate: the provider answers this key with a 500 for a day. No other key is used before somebody has
// looked, or an event has told.
func savedFailureOfACreate(t *testing.T) {
	for name, c := range map[string]struct {
		kind  stripetest.FaultKind
		told  bool
		posts int
	}{
		"it had happened":                     {stripetest.Error500Done, false, 1},
		"it had happened, and an event tells": {stripetest.Error500Done, true, 1},
		"it had not":                          {stripetest.Error500, false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.stripe.AddFault(stripetest.Fault{Kind: c.kind, Op: "create"})
			id := w.stored(ada())
			if c.told {
				w.meanwhile("create", func() {
					state, _ := w.deliver(w.stripe.Events()[0])
					require.Equal(t, tandem.EventApplied, state)
				})
			}
			w.agree(id)
			posts := w.calls("create")
			require.Len(t, posts, c.posts)
			for _, p := range posts {
				require.False(t, p.Replayed, "the provider was asked for what it remembers")
			}
			if c.posts == 2 {
				require.Equal(t, "list", w.calls("")[1].Op)
				require.NotEqual(t, posts[0].IdempotencyKey, posts[1].IdempotencyKey)
			}
		})
	}
}

// createdEventOvertakesItsAnswer: the event links, and the answer finds it done.
func createdEventOvertakesItsAnswer(t *testing.T) {
	w := newWorld(t)
	id := w.stored(ada())
	w.meanwhile("create", func() {
		state, _ := w.deliver(w.stripe.Events()[0])
		require.Equal(t, tandem.EventApplied, state)
	})
	c, there := w.agree(id)
	require.Equal(t, int64(1), c.Version)
	require.Equal(t, there.ID, w.mapping(id).RemoteID)
	require.Equal(t, []string{"outbound create", "outbound create"}, w.story(id), "stored, then linked")
	require.Len(t, w.calls(""), 1)
}

// createdEventOfOurOwnCreate makes nobody.
func createdEventOfOurOwnCreate(t *testing.T) {
	w := newWorld(t)
	id := w.stored(ada())
	w.outbound(id)
	require.Equal(t, tandem.Synced, w.mapping(id).State)
	state, reason := w.deliver(w.stripe.Events()[0])
	require.Equal(t, "echo own_write", string(state)+" "+reason)
	w.agree(id)
	require.Len(t, w.everybody(), 1)
	require.Len(t, w.calls(""), 1)
}

// twoWorkersCreate: a worker that was taken for dead goes on beside its successor.
func twoWorkersCreate(t *testing.T) {
	for name, arrange := range map[string]func(w *world, f func()){
		"before the other has called":   func(w *world, f func()) { w.before("create", f) },
		"before the other has recorded": func(w *world, f func()) { w.meanwhile("create", f) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.stored(ada())
			arrange(w, func() { w.outbound(id) })
			w.agree(id)
			keys := map[string]int{}
			for _, p := range w.calls("create") {
				keys[p.IdempotencyKey]++
			}
			require.Equal(t, map[string]int{tandem.CreateKey("test", id, 0): 2}, keys)
			require.Equal(t, []string{"outbound create", "outbound create"}, w.story(id))
		})
	}
}

// answerThatCannotBeRead: a success whose body is no customer says nothing. The same request again tells.
func answerThatCannotBeRead(t *testing.T) {
	for _, kind := range []stripetest.FaultKind{stripetest.Truncate, stripetest.HTML200} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.stripe.AddFault(stripetest.Fault{Kind: kind, Op: "create"})
			w.stripe.AddFault(stripetest.Fault{Kind: kind, Op: "update"})
			id := w.stored(ada())
			w.agree(id)
			w.edit(id, tandem.Patch{Name: ptr("Ada Later")})
			w.agree(id)
			for _, op := range []string{"create", "update"} {
				posts := w.calls(op)
				require.Len(t, posts, 2)
				require.Equal(t, posts[0].IdempotencyKey, posts[1].IdempotencyKey)
				require.Equal(t, posts[0].Form, posts[1].Form)
				require.True(t, posts[1].Replayed)
			}
			require.Equal(t, 1, w.metrics.seen["create ambiguous"])
		})
	}
}

// TestOneRemoteCustomer: whatever a provider does to a create, an update and a delete, there is one live remote customer
// while the customer lives and none afterwards, and nothing is lost.
func TestOneRemoteCustomer(t *testing.T) {
	t.Parallel()
	for _, kind := range []stripetest.FaultKind{
		stripetest.Error500, stripetest.Error500Done, stripetest.ApplyHang, stripetest.ApplyDrop, stripetest.DropBefore, stripetest.Truncate,
		stripetest.HTML200, stripetest.HTML502, stripetest.Error503, stripetest.RateLimit, stripetest.LockTimeout, stripetest.KeyInUse,
		stripetest.Unauthorized, stripetest.Forbidden, stripetest.SlowBody,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorldThatWaits(t, time.Second)
			for _, op := range []string{"create", "update", "delete"} {
				w.stripe.AddFault(stripetest.Fault{Kind: kind, Op: op, Count: 2, Delay: 2 * time.Second})
			}
			id := w.stored(ada())
			w.agree(id)
			w.edit(id, tandem.Patch{Name: ptr("Ada Later"), Metadata: map[string]string{"plan": ""}})
			c, _ := w.agree(id)
			require.Equal(t, "Ada Later", c.Name)
			require.Empty(t, c.Metadata)
			w.archive(id)
			w.ended(id, tandem.DeletedLocal)
			require.Equal(t, 1, w.made(id), "remote customers ever made")
			require.NotContains(t, w.story(id), "outbound park")
		})
	}
}
