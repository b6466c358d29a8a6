package tandem_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

// inFlight is linked with an update of the name to "New" under way.
func inFlight() tandem.Pair {
	pair := linked(tandem.Fields{Name: "Ada", Email: "e"})
	pair.Customer.Name, pair.Customer.Version = "New", 4
	_, body := tandem.PlanNext(pair.Customer, *pair.Mapping, policy)
	pair.Mapping.Claim = &tandem.Claim{
		Action: tandem.ActUpdate, Key: tandem.UpdateKey("test", "cust_1", "eim_1", 4, 0, body), Body: body, Version: 4,
	}
	pair.Mapping.State = tandem.Pending
	return pair
}

func TestDecideLinkedOrder(t *testing.T) {
	t.Parallel()
	base, other := tandem.Fields{Name: "Ada", Email: "e"}, tandem.Fields{Name: "There", Email: "e"}
	wide := func(m *tandem.Mapping) { m.AsOfFrom = second(8) } // the base is from an answer

	for name, tt := range map[string]struct {
		state  tandem.RemoteState
		base   func(*tandem.Mapping)
		act    tandem.Act
		want   tandem.EventState
		reason string
	}{
		"an older event is stale":                 {fromEvent(9, other), nil, tandem.ActNone, tandem.EventStale, tandem.ReasonOlder},
		"an older equal event too":                {fromEvent(9, base), nil, tandem.ActNone, tandem.EventStale, tandem.ReasonOlder},
		"a newer event is merged":                 {fromEvent(11, other), nil, tandem.ActMerge, tandem.EventApplied, ""},
		"a newer equal event is an echo":          {fromEvent(11, base), nil, tandem.ActAdvance, tandem.EventEcho, tandem.ReasonEqual},
		"the same second, different: fetch":       {fromEvent(10, other), nil, tandem.ActFetch, tandem.EventReceived, ""},
		"the same second, equal: an echo":         {fromEvent(10, base), nil, tandem.ActAdvance, tandem.EventEcho, tandem.ReasonEqual},
		"after an answer, beyond the tolerance":   {fromEvent(12, other), func(m *tandem.Mapping) { m.AsOfFrom = second(8) }, tandem.ActMerge, tandem.EventApplied, ""},
		"within the window of an answer: fetch":   {fromEvent(9, other), wide, tandem.ActFetch, tandem.EventReceived, ""},
		"before the window of an answer":          {fromEvent(7, other), wide, tandem.ActNone, tandem.EventStale, tandem.ReasonOlder},
		"a fetch around the base, different":      {fromFetch(11, other), nil, tandem.ActFetch, tandem.EventReceived, ""},
		"a fetch around the base, equal":          {fromFetch(11, base), nil, tandem.ActAdvance, tandem.EventEcho, tandem.ReasonEqual},
		"a fetch well after the base":             {fromFetch(14, other), nil, tandem.ActMerge, tandem.EventApplied, ""},
		"a fetch well before the base":            {fromFetch(8, other), nil, tandem.ActNone, tandem.EventStale, tandem.ReasonOlder},
		"a fetch begun after the last record":     {with(fromFetch(10, other), func(s *tandem.RemoteState) { s.After = 7 }), nil, tandem.ActMerge, tandem.EventApplied, ""},
		"causality beats the clock":               {with(fromFetch(5, other), func(s *tandem.RemoteState) { s.After = 7 }), nil, tandem.ActMerge, tandem.EventApplied, ""},
		"a fetch begun before the last record":    {with(fromFetch(10, other), func(s *tandem.RemoteState) { s.After = 6 }), nil, tandem.ActFetch, tandem.EventReceived, ""},
		"an equal fetch begun after the last one": {with(fromFetch(5, base), func(s *tandem.RemoteState) { s.After = 7 }), nil, tandem.ActAdvance, tandem.EventEcho, tandem.ReasonEqual},
		"a replayed answer has no age":            {with(fromCall(30, other), func(s *tandem.RemoteState) { s.Replayed = true }), nil, tandem.ActFetch, tandem.EventReceived, ""},
		"an absent field is not cleared": {with(fromEvent(11, tandem.Fields{Email: "e"}), func(s *tandem.RemoteState) {
			s.Absent = []string{"name", "metadata", "phone", "address"}
		}), nil, tandem.ActAdvance, tandem.EventEcho, tandem.ReasonEqual},
		"null is":          {fromEvent(11, tandem.Fields{Email: "e"}), nil, tandem.ActMerge, tandem.EventApplied, ""},
		"another account":  {with(fromEvent(11, other), func(s *tandem.RemoteState) { s.Account = "acct_2" }), nil, tandem.ActNone, tandem.EventIgnored, tandem.ReasonOtherAccount},
		"another mode":     {with(fromEvent(11, other), func(s *tandem.RemoteState) { s.Livemode = true }), nil, tandem.ActNone, tandem.EventIgnored, tandem.ReasonOtherMode},
		"mangled metadata": {fromEvent(11, reserved("prod", "x")), nil, tandem.ActMerge, tandem.EventApplied, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair := linked(base)
			if tt.base != nil {
				tt.base(pair.Mapping)
			}
			d := tandem.Decide(tt.state, tandem.View{Linked: &pair}, policy)
			require.Equal(t, []any{tt.act, tt.want, tt.reason}, []any{d.Act, d.State, d.Reason})
			if d.Mapping != nil && tt.act != tandem.ActFetch {
				require.False(t, d.Mapping.AsOf.Before(second(10)), "time does not go back")
				require.False(t, d.Mapping.AsOfFrom.After(d.Mapping.AsOf))
			}
			require.Equal(t, tt.act == tandem.ActMerge && d.Customer != nil, len(d.Journal) > 0)
			require.Equal(t, second(10), pair.Mapping.AsOf, "what was given is not touched")
		})
	}
}

func TestDecideOwnWrites(t *testing.T) {
	t.Parallel()
	after := tandem.Fields{Name: "New", Email: "e"}
	both := tandem.Fields{Name: "New", Email: "theirs"}

	t.Run("an echo that overtakes its answer changes nothing", func(t *testing.T) {
		t.Parallel()
		pair := inFlight()
		for _, n := range []int{10, 11, 30} {
			d := tandem.Decide(with(fromEvent(n, after), func(s *tandem.RemoteState) { s.Key = pair.Mapping.Claim.Key }), tandem.View{Linked: &pair}, policy)
			require.Equal(t, []any{tandem.ActNone, tandem.EventEcho, tandem.ReasonOwnWrite}, []any{d.Act, d.State, d.Reason})
		}
	})

	t.Run("the key alone proves nothing about the other fields", func(t *testing.T) {
		t.Parallel()
		pair := inFlight()
		d := tandem.Decide(with(fromEvent(10, both), func(s *tandem.RemoteState) { s.Key = pair.Mapping.Claim.Key }), tandem.View{Linked: &pair}, policy)
		require.Equal(t, tandem.ActFetch, d.Act)
		d = tandem.Decide(with(fromEvent(11, both), func(s *tandem.RemoteState) { s.Key = pair.Mapping.Claim.Key }), tandem.View{Linked: &pair}, policy)
		require.Equal(t, tandem.ActMerge, d.Act)
		require.Equal(t, "theirs", d.Customer.Email)
		require.Equal(t, "New", d.Customer.Name)
	})

	t.Run("the answer ends the call", func(t *testing.T) {
		t.Parallel()
		pair := inFlight()
		d := tandem.Decide(with(fromCall(12, both), func(s *tandem.RemoteState) { s.Key, s.After = pair.Mapping.Claim.Key, 7 }), tandem.View{Linked: &pair}, policy)
		require.Equal(t, tandem.ActMerge, d.Act)
		require.Nil(t, d.Mapping.Claim)
		require.Equal(t, int64(4), d.Mapping.Pushed)
		require.Equal(t, both, *d.Mapping.Base)
		require.Equal(t, "theirs", d.Customer.Email, "what was changed there comes back with it")
		require.Equal(t, tandem.Synced, d.Mapping.State)
		require.Equal(t, []string{"update", "update"}, actions(d))
		require.Equal(t, []tandem.FieldChange{{Field: "name", Before: "Ada", After: "New"}}, d.Journal[0].Changes)
	})

	t.Run("an answer that changed nothing ends the call all the same", func(t *testing.T) {
		t.Parallel()
		pair := inFlight()
		pair.Mapping.Claim.Body = tandem.Patch{Name: ptr("Ada")}
		d := tandem.Decide(with(fromCall(12, *pair.Mapping.Base), func(s *tandem.RemoteState) { s.Key, s.After = pair.Mapping.Claim.Key, 7 }), tandem.View{Linked: &pair}, policy)
		require.Nil(t, d.Mapping.Claim)
		require.True(t, d.Poke, "the name is still another here")
	})

	t.Run("an answer that is older than a recorded event ends the call and nothing else", func(t *testing.T) {
		t.Parallel()
		pair := inFlight()
		newest := tandem.Fields{Name: "Theirs later", Email: "e"}
		pair.Mapping.Base, pair.Mapping.AsOfFrom, pair.Mapping.AsOf = &newest, second(20), second(20)
		old := *pair.Mapping
		d := tandem.Decide(with(fromCall(12, after), func(s *tandem.RemoteState) { s.Key, s.After = pair.Mapping.Claim.Key, 6 }), tandem.View{Linked: &pair}, policy)
		require.Equal(t, []any{tandem.ActMerge, tandem.EventApplied}, []any{d.Act, d.State})
		require.Nil(t, d.Customer)
		require.Nil(t, d.Mapping.Claim)
		require.Equal(t, newest, *d.Mapping.Base)
		require.Equal(t, second(20), d.Mapping.AsOf)
		require.Greater(t, d.Mapping.Epoch, old.Epoch, "the same body again must not go under the same key")
	})

	t.Run("an answer in doubt stays a claim until a fetch settles it", func(t *testing.T) {
		t.Parallel()
		pair := inFlight()
		pair.Mapping.Base, pair.Mapping.AsOfFrom, pair.Mapping.AsOf = &both, second(12), second(12)
		answer := with(fromCall(12, after), func(s *tandem.RemoteState) { s.Key, s.After = pair.Mapping.Claim.Key, 6 })
		require.Equal(t, tandem.ActFetch, tandem.Decide(answer, tandem.View{Linked: &pair}, policy).Act)
		fetch := with(fromFetch(13, both), func(s *tandem.RemoteState) { s.Key, s.After = pair.Mapping.Claim.Key, 7 })
		d := tandem.Decide(fetch, tandem.View{Linked: &pair}, policy)
		require.Equal(t, tandem.ActMerge, d.Act)
		require.Nil(t, d.Mapping.Claim)
	})

	t.Run("somebody else's look while the call is under way leaves the claim", func(t *testing.T) {
		t.Parallel()
		for name, there := range map[string]tandem.Fields{
			"before our write": {Name: "Ada", Email: "theirs"}, "after our write": both,
		} {
			pair := inFlight()
			pair.Mapping.State, pair.Mapping.LastError = tandem.Retrying, &tandem.LastError{Class: tandem.Transient}
			d := tandem.Decide(fromEvent(12, there), tandem.View{Linked: &pair}, policy)
			require.NotNil(t, d.Mapping.Claim, name)
			require.Equal(t, tandem.Retrying, d.Mapping.State)
			require.NotNil(t, d.Mapping.LastError)
			require.Equal(t, "New", d.Customer.Name, name)
			require.Equal(t, "theirs", d.Customer.Email, name)
		}
	})

	t.Run("an event of a write that was recorded is an echo, however late and different", func(t *testing.T) {
		t.Parallel()
		pair := linked(tandem.Fields{Name: "Newest", Email: "e"})
		pair.Mapping.Pushed = 4
		for name, key := range map[string]string{
			"that write": tandem.UpdateKey("test", "cust_1", "eim_1", 4, 0, tandem.Patch{Name: ptr("New")}),
			"an earlier": tandem.UpdateKey("test", "cust_1", "eim_1", 2, 1, tandem.Patch{Name: ptr("X")}),
			"the create": tandem.CreateKey("test", "cust_1", 0),
		} {
			d := tandem.Decide(with(fromEvent(30, after), func(s *tandem.RemoteState) { s.Key = key }), tandem.View{Linked: &pair}, policy)
			require.Equal(t, []any{tandem.ActNone, tandem.EventEcho}, []any{d.Act, d.State}, name)
		}
		for name, key := range map[string]string{
			"a later write":             tandem.UpdateKey("test", "cust_1", "eim_1", 5, 0, tandem.Patch{Name: ptr("New")}),
			"another link's":            tandem.UpdateKey("test", "cust_1", "eim_0", 2, 0, tandem.Patch{Name: ptr("New")}),
			"another customer's":        tandem.UpdateKey("test", "cust_2", "eim_1", 2, 0, tandem.Patch{Name: ptr("New")}),
			"another environment's":     tandem.UpdateKey("prod", "cust_1", "eim_1", 2, 0, tandem.Patch{Name: ptr("New")}),
			"another program's":         "somebody-elses-key",
			"another customer's create": tandem.CreateKey("test", "cust_2", 0),
		} {
			d := tandem.Decide(with(fromEvent(30, after), func(s *tandem.RemoteState) { s.Key = key }), tandem.View{Linked: &pair}, policy)
			require.Equal(t, tandem.ActMerge, d.Act, name)
		}
	})
}

func TestDecideConflicts(t *testing.T) {
	t.Parallel()
	hold := policy
	hold.Merge = tandem.MergePolicy{"name": {Conflict: tandem.Hold}}
	pair := linked(tandem.Fields{Name: "Ada", Email: "e"})
	pair.Customer.Name = "Here"
	d := tandem.Decide(fromEvent(11, tandem.Fields{Name: "There", Email: "theirs"}), tandem.View{Linked: &pair}, hold)
	require.Equal(t, tandem.InConfl, d.Mapping.State)
	require.Equal(t, []tandem.FieldConflict{{Field: "name", Platform: "Here", Provider: "There"}}, d.Mapping.Conflicts)
	require.Equal(t, "Here", d.Customer.Name)
	require.Equal(t, "theirs", d.Customer.Email, "the other fields go on")
	require.False(t, d.Poke)
	require.Equal(t, []string{"update", "conflict"}, actions(d))

	agreed := tandem.Pair{Customer: *d.Customer, Mapping: d.Mapping}
	agreed.Customer.Name = "There" // the person's choice
	d = tandem.Decide(fromEvent(12, tandem.Fields{Name: "There", Email: "theirs"}), tandem.View{Linked: &agreed}, hold)
	require.Equal(t, tandem.Synced, d.Mapping.State)
	require.Empty(t, d.Mapping.Conflicts)
}

func TestDecideRepairsReservedMetadata(t *testing.T) {
	t.Parallel()
	pair := linked(tandem.Fields{Name: "Ada"})
	pair.Mapping.Metadata[tandem.MetaSyncDirection] = tandem.PlatformToProvider
	ours := pair.Customer.ReservedFor("test")
	pair.Mapping.Base.Reserved = ours
	d := tandem.Decide(fromEvent(11, reserved("prod", "x")), tandem.View{Linked: &pair}, policy)
	require.Equal(t, tandem.ActMerge, d.Act)
	require.True(t, d.Poke)
	_, patch := tandem.PlanNext(pair.Customer, *d.Mapping, policy)
	require.Equal(t, tandem.Patch{Reserved: ours}, patch)
}
