package tandem_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func TestBrakeTrips(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		brake            tandem.Brake
		lastHour, linked int
		trips            bool
	}{
		"off":                                     {tandem.Brake{}, 1e6, 1, false},
		"below the count":                         {tandem.Brake{Count: 3}, 2, 1000, false},
		"at the count":                            {tandem.Brake{Count: 3}, 3, 1000, true},
		"above the count":                         {tandem.Brake{Count: 3}, 4, 1000, true},
		"the first delete always passes":          {tandem.Brake{Count: 1, Share: 0.01}, 0, 0, false},
		"a share of a small installation":         {tandem.Brake{Share: 0.1}, 19, 20, false},
		"at the floor, below the share":           {tandem.Brake{Share: 0.1}, 20, 201, false},
		"at the floor, at the share":              {tandem.Brake{Share: 0.1}, 20, 200, true},
		"of an unknown number of links":           {tandem.Brake{Share: 0.1}, 20, 0, true},
		"either of the two":                       {tandem.Brake{Count: 5, Share: 0.1}, 5, 1e6, true},
		"the share, although the count is larger": {tandem.Brake{Count: 1000, Share: 0.1}, 100, 1000, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.trips, tt.brake.Trips(tt.lastHour, tt.linked))
		})
	}
}

// TestMetadataShowsTheProvidersValues: they are called after the provider, and people compare them with its dashboard.
func TestMetadataShowsTheProvidersValues(t *testing.T) {
	t.Parallel()
	ours, theirs := tandem.Fields{Name: "Ours", Email: "ours@example.org"}, tandem.Fields{Name: "Theirs", Email: "theirs@example.org"}
	for name, merge := range map[string]tandem.MergePolicy{
		"on hold":    {"name": {Conflict: tandem.Hold}, "email": {Conflict: tandem.Hold}},
		"not synced": {"name": {Owner: tandem.NotSynced}, "email": {Owner: tandem.NotSynced}},
	} {
		pair := linked(tandem.Fields{Name: "Before", Email: "before@example.org"})
		pair.Customer = customer("cust_1", ours)
		p := policy
		p.Merge = merge
		seen := theirs
		seen.Phone = "+1 555 0100" // something to take in
		d := tandem.Decide(fromEvent(20, seen), tandem.View{Linked: &pair}, p)
		require.NotNil(t, d.Mapping, name)
		require.Equal(t, "Theirs", d.Mapping.Metadata["stripe_customer_name"], name)
		require.Equal(t, "theirs@example.org", d.Mapping.Metadata["stripe_customer_email"], name)
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	hold := tandem.MergePolicy{}
	for _, f := range []string{tandem.FieldName, tandem.FieldEmail, tandem.FieldPhone, tandem.FieldAddress, tandem.FieldMetadata} {
		hold[f] = tandem.FieldPolicy{Conflict: tandem.Hold}
	}
	base := tandem.Fields{Name: "B", Email: "b", Phone: "0", Address: tandem.Address{City: "B"}, Metadata: map[string]string{"k": "b", "gone": "b"}}
	ours := tandem.Fields{Name: "P", Email: "p", Phone: "1", Address: tandem.Address{Line1: "1, St", City: "P"}, Metadata: map[string]string{"k": "p", "gone": "p"}}
	theirs := tandem.Fields{
		Name: "R", Email: "", Phone: "2", Address: tandem.Address{Line1: "2", Line2: "3", City: "R", State: "S", PostalCode: "4", Country: "US"},
		Metadata: map[string]string{"k": "r"},
	}
	fields := []string{"name", "email", "phone", "address", "metadata.k", "metadata.gone"}

	// onHold is the mapping and the customer with every field on hold, as the database gives it back.
	onHold := func(t *testing.T) (tandem.Mapping, tandem.Customer) {
		pair := linked(base)
		pair.Customer = customer("cust_1", ours)
		p := policy
		p.Merge = hold
		d := tandem.Decide(fromEvent(20, theirs), tandem.View{Linked: &pair}, p)
		require.Len(t, d.Mapping.Conflicts, len(fields))
		stored, err := json.Marshal(d.Mapping)
		require.NoError(t, err)
		var m tandem.Mapping
		require.NoError(t, json.Unmarshal(stored, &m))
		return m, pair.Customer
	}
	choose := func(w tandem.Winner, fields ...string) map[string]tandem.Winner {
		out := map[string]tandem.Winner{}
		for _, f := range fields {
			out[f] = w
		}
		return out
	}
	p := policy
	p.Merge = hold

	t.Run("the provider wins everything, what it cleared included", func(t *testing.T) {
		t.Parallel()
		m, c := onHold(t)
		after, got, unknown := m.Settle(c, choose(tandem.ProviderWins, fields...))
		require.Empty(t, unknown)
		require.Empty(t, after.Conflicts)
		require.True(t, theirs.Equal(got.Fields()), "%+v", got.Fields())
		require.Equal(t, theirs.Address, got.Address)
		require.True(t, theirs.Equal(*after.Base))
		action, _ := tandem.PlanNext(got, after, p)
		require.Equal(t, tandem.ActNothing, action)
	})
	t.Run("the platform wins everything", func(t *testing.T) {
		t.Parallel()
		m, c := onHold(t)
		after, got, unknown := m.Settle(c, choose(tandem.PlatformWins, fields...))
		require.Empty(t, unknown)
		require.Equal(t, c, got)
		require.True(t, theirs.Equal(*after.Base))
		action, body := tandem.PlanNext(got, after, p)
		require.Equal(t, tandem.ActUpdate, action)
		require.True(t, ours.Equal(theirs.With(body)), "pushed, both sides agree")
	})
	for _, field := range fields {
		t.Run("only "+field, func(t *testing.T) {
			t.Parallel()
			m, c := onHold(t)
			after, got, unknown := m.Settle(c, choose(tandem.ProviderWins, field))
			require.Empty(t, unknown)
			require.Len(t, after.Conflicts, len(fields)-1)
			require.Len(t, tandem.Diff(c.Fields(), got.Fields()), 1)
			require.Equal(t, field, tandem.Diff(c.Fields(), got.Fields())[0].Field)
			action, _ := tandem.PlanNext(got, after, p)
			require.Equal(t, tandem.ActNothing, action, "the others stay on hold")
			require.Len(t, m.Conflicts, len(fields), "the mapping that was asked is not touched")
			require.Equal(t, base.Name, m.Base.Name)
			require.Equal(t, "p", c.Metadata["k"])
		})
	}
	t.Run("what is not on hold is named", func(t *testing.T) {
		t.Parallel()
		m, c := onHold(t)
		for _, field := range []string{"metadata", "metadata.other", "Name"} {
			w := choose(tandem.ProviderWins, "name")
			w[field] = tandem.PlatformWins
			_, _, unknown := m.Settle(c, w)
			require.Equal(t, field, unknown)
		}
	})
	t.Run("nobody chose", func(t *testing.T) {
		t.Parallel()
		m, c := onHold(t)
		after, got, unknown := m.Settle(c, nil)
		require.Empty(t, unknown)
		require.Equal(t, m, after)
		require.Equal(t, c, got)
	})
}
