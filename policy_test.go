package tandem_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem"
)

func TestLooksFirst(t *testing.T) {
	t.Parallel()
	base := tandem.Fields{Name: "Ada", Address: tandem.Address{Line1: "Flat 3"}, Metadata: map[string]string{"k": "1"}}
	hold, provider := tandem.FieldPolicy{Conflict: tandem.Hold}, tandem.FieldPolicy{Conflict: tandem.ProviderWins}
	name, key := tandem.Patch{Name: ptr("New")}, tandem.Patch{Metadata: map[string]string{"k": ""}}
	moved := tandem.Patch{Address: &tandem.Address{Line2: "Flat 3"}}
	for what, tt := range map[string]struct {
		policy tandem.MergePolicy
		patch  tandem.Patch
		want   bool
	}{
		"no policy":                    {nil, name, false},
		"the platform wins":            {tandem.MergePolicy{"name": {Conflict: tandem.PlatformWins}}, name, false},
		"held":                         {tandem.MergePolicy{"name": hold}, name, true},
		"the provider wins":            {tandem.MergePolicy{"name": provider}, name, true},
		"another field is held":        {tandem.MergePolicy{"email": hold}, name, false},
		"a key, by its group":          {tandem.MergePolicy{"metadata": hold}, key, true},
		"a key, by itself":             {tandem.MergePolicy{"metadata.k": provider}, key, true},
		"another key":                  {tandem.MergePolicy{"metadata.l": provider}, key, false},
		"a key that differs from them": {tandem.MergePolicy{"metadata": hold, "metadata.k": {}}, key, false},
		"an address, only rearranged":  {tandem.MergePolicy{"address": hold}, moved, true},
		"only the platform may change": {tandem.MergePolicy{"name": {Owner: tandem.OwnedByPlatform, Conflict: tandem.Hold}}, name, false},
		"our own metadata":             {tandem.MergePolicy{"metadata": hold}, tandem.Patch{Reserved: map[string]string{tandem.KeyExternalID: "x"}}, false},
		"both may change":              {tandem.MergePolicy{"name": {Owner: tandem.OwnedByBoth, Conflict: tandem.Hold}}, name, true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.policy.LooksFirst(base, tt.patch))
		})
	}
}

func TestForbidden(t *testing.T) {
	t.Parallel()
	before := tandem.Fields{Name: "Ada", Address: tandem.Address{City: "Bath"}, Metadata: map[string]string{"k": "1", "l": "1"}}
	after := tandem.Fields{Name: "New", Email: "e", Phone: "1", Address: tandem.Address{City: "Bonn"}, Metadata: map[string]string{"l": "2", "m": "3"}}
	for what, tt := range map[string]struct {
		policy tandem.MergePolicy
		want   tandem.Patch
	}{
		"nobody owns anything":           {nil, tandem.Patch{}},
		"both, the platform, or nowhere": {tandem.MergePolicy{"name": {Owner: tandem.OwnedByBoth}, "email": {Owner: tandem.OwnedByPlatform}, "phone": {Owner: tandem.NotSynced}}, tandem.Patch{}},
		"who wins is another question":   {tandem.MergePolicy{"name": {Conflict: tandem.ProviderWins}, "email": {Conflict: tandem.Hold}}, tandem.Patch{}},
		"the provider owns a field":      {tandem.MergePolicy{"name": {Owner: tandem.OwnedByProvider}}, tandem.Patch{Name: ptr("Ada")}},
		"one that was empty":             {tandem.MergePolicy{"phone": {Owner: tandem.OwnedByProvider}}, tandem.Patch{Phone: ptr("")}},
		"the address":                    {tandem.MergePolicy{"address": {Owner: tandem.OwnedByProvider}}, tandem.Patch{Address: &tandem.Address{City: "Bath"}}},
		"all keys":                       {tandem.MergePolicy{"metadata": {Owner: tandem.OwnedByProvider}}, tandem.Patch{Metadata: map[string]string{"k": "1", "l": "1", "m": ""}}},
		"one key":                        {tandem.MergePolicy{"metadata.l": {Owner: tandem.OwnedByProvider}}, tandem.Patch{Metadata: map[string]string{"l": "1"}}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.policy.Forbidden(before, after))
			require.Empty(t, tt.policy.Forbidden(before, before), "what is sent along unchanged")
		})
	}

	rapid.Check(t, func(t *rapid.T) {
		policy, before, after := somePolicy().Draw(t, "policy"), someFields().Draw(t, "before"), someFields().Draw(t, "after")
		allowed := after.With(policy.Forbidden(before, after))
		if !policy.Forbidden(before, allowed).IsEmpty() {
			t.Fatalf("still forbidden: %v", patched(policy.Forbidden(before, allowed)))
		}
		for field := range patched(policy.Forbidden(before, after)) {
			if !equalLeaf(before, allowed, field) {
				t.Fatalf("%s is not taken back", field)
			}
		}
	})
}

// A link must not wipe: a field that only the platform may change, and that has no value here yet, comes in once.
func TestDecide_firstTimeOfAnOwnedField(t *testing.T) {
	t.Parallel()
	p := policy
	p.Merge = tandem.MergePolicy{"name": {Owner: tandem.OwnedByPlatform}, "phone": {Owner: tandem.OwnedByPlatform}, "metadata": {Owner: tandem.OwnedByPlatform}}
	theirs := tandem.Fields{Name: "Theirs", Phone: "1", Metadata: map[string]string{"k": "1", "l": "theirs"}}
	ours := customer("cust_1", tandem.Fields{Name: "Ours", Metadata: map[string]string{"l": "ours"}})
	ours.ExternalID = "ext"
	want := tandem.Fields{Name: "Ours", Phone: "1", Metadata: map[string]string{"k": "1", "l": "ours"}}

	byID := theirs
	byID.Reserved = map[string]string{tandem.KeyExternalID: "ext"}
	for how, d := range map[string]tandem.Decision{
		"by external id": tandem.Decide(fromEvent(20, byID), tandem.View{External: &tandem.Pair{Customer: ours}}, p),
		"by hand":        tandem.DecideLink(fromEvent(20, theirs), tandem.Pair{Customer: ours}, tandem.ProviderWins, p),
	} {
		require.Equal(t, tandem.ActLink, d.Act, how)
		require.True(t, want.Equal(d.Customer.Fields()), "%s: %+v", how, d.Customer.Fields())
		_, body := tandem.PlanNext(*d.Customer, *d.Mapping, p)
		require.Equal(t, tandem.Patch{Name: ptr("Ours"), Metadata: map[string]string{"l": "ours"}}, body, "%s: what is here counts over there", how)
	}

	d := tandem.Decide(fromEvent(20, theirs), tandem.View{}, p)
	require.Equal(t, tandem.ActImport, d.Act)
	require.True(t, theirs.Equal(d.Customer.Fields()), "%+v", d.Customer.Fields())

	pair := linked(tandem.Fields{Name: "Ours"})
	d = tandem.Decide(fromEvent(20, tandem.Fields{Name: "Ours", Phone: "1"}), tandem.View{Linked: &pair}, p)
	require.Nil(t, d.Customer, "once linked, what they write there is taken back")
	require.True(t, d.Poke)
}

func TestHeld(t *testing.T) {
	t.Parallel()
	hold := policy
	hold.Merge = tandem.MergePolicy{}
	for _, f := range []string{"name", "email", "phone", "address", "metadata"} {
		hold.Merge[f] = tandem.FieldPolicy{Conflict: tandem.Hold}
	}
	base := tandem.Fields{Name: "B", Email: "b", Address: tandem.Address{City: "B"}, Metadata: map[string]string{"k": "b"}}
	theirs := tandem.Fields{Name: "R", Email: "r", Address: tandem.Address{City: "R"}}
	open := func(t *testing.T) (tandem.Mapping, tandem.Customer) {
		pair := linked(base)
		pair.Customer = customer("cust_1", tandem.Fields{Name: "P", Email: "p", Address: tandem.Address{City: "P"}, Metadata: map[string]string{"k": "p"}})
		d := tandem.Decide(fromEvent(20, theirs), tandem.View{Linked: &pair}, hold)
		require.Len(t, d.Mapping.Conflicts, 4)
		return *d.Mapping, pair.Customer
	}
	field := func(m tandem.Mapping, name string) *tandem.FieldConflict {
		for _, held := range m.Conflicts {
			if held.Field == name {
				return &held
			}
		}
		return nil
	}

	t.Run("nobody edited: nothing is new", func(t *testing.T) {
		t.Parallel()
		m, c := open(t)
		after, changed := m.Held(c)
		require.False(t, changed)
		require.Equal(t, m, after)
		_, changed = tandem.Mapping{State: tandem.Synced}.Held(c)
		require.False(t, changed)
	})
	t.Run("the newest value is shown, and pushed when the platform is chosen", func(t *testing.T) {
		t.Parallel()
		m, c := open(t)
		c = c.With(tandem.Patch{Name: ptr("P2"), Address: &tandem.Address{City: "P2"}, Metadata: map[string]string{"k": ""}})
		after, changed := m.Held(c)
		require.True(t, changed)
		require.Equal(t, tandem.InConfl, after.State)
		require.Equal(t, tandem.FieldConflict{Field: "name", Platform: "P2", Provider: "R"}, *field(after, "name"))
		require.Equal(t, "P2", field(after, "address").Platform)
		require.Equal(t, tandem.Address{City: "R"}, *field(after, "address").Address)
		require.Equal(t, "P", field(m, "name").Platform, "the mapping that was asked is not touched")
		require.Nil(t, field(after, "metadata.k"), "both have removed it by now")
		require.Equal(t, base.Metadata, m.Base.Metadata)

		action, _ := tandem.PlanNext(c, after, hold)
		require.Equal(t, tandem.ActNothing, action, "what is on hold is pushed by nobody")
		settled, c, unknown := after.Settle(c, map[string]tandem.Winner{"name": tandem.PlatformWins})
		require.Empty(t, unknown)
		_, body := tandem.PlanNext(c, settled, hold)
		require.Equal(t, tandem.Patch{Name: ptr("P2")}, body)

		again, changed := after.Held(c)
		require.False(t, changed, "%v", again.Conflicts)
	})
	t.Run("an edit to their value ends the conflict", func(t *testing.T) {
		t.Parallel()
		m, c := open(t)
		c = c.With(tandem.Patch{Name: ptr(" R "), Email: ptr("r"), Address: &tandem.Address{City: "R"}, Metadata: map[string]string{"k": ""}})
		after, changed := m.Held(c)
		require.True(t, changed)
		require.Empty(t, after.Conflicts)
		require.True(t, theirs.Equal(*after.Base))
		require.Equal(t, tandem.Pending, after.State)
		action, _ := tandem.PlanNext(c, after, hold)
		require.Equal(t, tandem.ActNothing, action)
		d := tandem.Decide(fromEvent(30, theirs), tandem.View{Linked: &tandem.Pair{Customer: c, Mapping: &after}}, hold)
		require.Equal(t, tandem.ReasonEqual, d.Reason)
	})
	t.Run("an edit that they take back ends the conflict: ours goes out", func(t *testing.T) {
		t.Parallel()
		m, c := open(t)
		back := base
		back.Email = "r"
		d := tandem.Decide(fromEvent(30, back), tandem.View{Linked: &tandem.Pair{Customer: c, Mapping: &m}}, hold)
		require.Equal(t, tandem.EventApplied, d.State, "%s", d.Reason)
		require.Equal(t, []tandem.FieldConflict{{Field: "email", Platform: "p", Provider: "r"}}, d.Mapping.Conflicts)
		d = tandem.Decide(fromEvent(30, base), tandem.View{Linked: &tandem.Pair{Customer: c, Mapping: &m}}, hold)
		require.Equal(t, tandem.EventApplied, d.State, "%s", d.Reason)
		require.Empty(t, d.Mapping.Conflicts)
		require.Equal(t, tandem.Pending, d.Mapping.State)
		require.True(t, d.Poke)
		_, body := tandem.PlanNext(c, *d.Mapping, hold)
		require.True(t, c.Fields().Equal(base.With(body)))
	})
	t.Run("a refusal goes on being shown", func(t *testing.T) {
		t.Parallel()
		m, c := open(t)
		m.State, m.LastError = tandem.Parked, &tandem.LastError{Class: tandem.Invalid}
		after, changed := m.Held(c.With(tandem.Patch{Name: ptr("P2")}))
		require.True(t, changed)
		require.Equal(t, tandem.Parked, after.State)
	})
}
