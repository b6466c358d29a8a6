package providertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

var (
	london = tandem.Address{Line1: "12 St James's Square", City: "London", PostalCode: "SW1Y 4JH", Country: "GB"}
	munich = tandem.Address{Line1: "Straße 9", Line2: "Hinterhof", City: "München", State: "BY", PostalCode: "80331", Country: "DE"}
	marks  = map[string]string{tandem.KeyCustomerID: "cust_1", tandem.KeyEnvironment: "providertest", tandem.KeyExternalID: "x-1"}
)

// whole is a body with every field.
func whole() tandem.Patch {
	return tandem.Patch{
		Name: to("Ada Lovelace"), Email: to(newEmail()), Phone: to("+44 20 7946 0991"), Address: to(london),
		Metadata: map[string]string{"plan": "pro", "seats": "3"}, Reserved: marks,
	}
}

var customers = map[string]func(*testing.T, Account){
	"create then fetch": func(t *testing.T, a Account) {
		body := whole()
		made := create(t, a, body)
		sameFields(t, tandem.Fields{}.With(body), made.Fields)
		read := fetch(t, a, made.RemoteID)
		sameFields(t, made.Fields, read.Fields)
		require.Equal(t, made.Created, read.Created)
		require.Equal(t, tandem.FromResponse, made.Source)
		require.Equal(t, tandem.FromFetch, read.Source)
	},
	"a state says whose it is and when it was seen": func(t *testing.T, a Account) {
		key := newKey()
		before := time.Now()
		s, err := a.Create(t.Context(), key, whole())
		require.NoError(t, err)
		require.Equal(t, a.Name(), s.Provider)
		require.Equal(t, key, s.Key)
		require.False(t, s.Replayed)
		require.False(t, s.Deleted)
		require.Empty(t, s.Absent)
		require.False(t, s.SeenFrom.After(s.Created) || s.Created.After(s.SeenTo), "made %v, seen %v to %v", s.Created, s.SeenFrom, s.SeenTo)
		for _, at := range []time.Time{s.Created, s.SeenFrom, s.SeenTo} {
			require.Zero(t, at.Nanosecond(), "whole seconds")
			require.WithinDuration(t, before, at, time.Hour, "a provider's clock, but no other century")
		}
	},
	"create with one field leaves the others empty": func(t *testing.T, a Account) {
		s := create(t, a, tandem.Patch{Email: to(newEmail())})
		require.Empty(t, s.Fields.Name)
		require.Empty(t, s.Fields.Phone)
		require.Zero(t, s.Fields.Address)
		require.Empty(t, s.Fields.Metadata)
		require.NotNil(t, s.Fields.Reserved, "no marks is an answer, not the lack of one")
		require.Empty(t, s.Absent)
	},
	"create with nothing": func(t *testing.T, a Account) {
		sameFields(t, tandem.Fields{Reserved: map[string]string{}}, create(t, a, tandem.Patch{}).Fields)
	},
	"create with empty values": func(t *testing.T, a Account) {
		s := create(t, a, tandem.Patch{Name: to(""), Email: to(""), Phone: to(""), Address: &tandem.Address{}, Metadata: map[string]string{"k": ""}})
		sameFields(t, tandem.Fields{Reserved: map[string]string{}}, s.Fields)
	},
	"update changes only what the body names": func(t *testing.T, a Account) {
		made := create(t, a, whole())
		for _, p := range []tandem.Patch{
			{Name: to("Augusta Ada King")}, {Email: to(newEmail())}, {Phone: to("+44 20 7946 0992")}, {Address: to(munich)},
			{Metadata: map[string]string{"plan": "free"}}, {Reserved: map[string]string{tandem.KeyExternalID: "x-2"}},
		} {
			want := made.Fields.With(p)
			made = update(t, a, made.RemoteID, p)
			sameFields(t, want, made.Fields)
		}
		sameFields(t, made.Fields, fetch(t, a, made.RemoteID).Fields)
	},
	"update clears a field": func(t *testing.T, a Account) {
		made := create(t, a, whole())
		for _, p := range []tandem.Patch{{Name: to("")}, {Email: to("")}, {Phone: to("")}, {Address: &tandem.Address{}}} {
			want := made.Fields.With(p)
			made = update(t, a, made.RemoteID, p)
			sameFields(t, want, made.Fields)
		}
		require.Empty(t, made.Absent, "cleared is known to be empty")
	},
	"an address is replaced as a whole": func(t *testing.T, a Account) {
		made := create(t, a, tandem.Patch{Address: to(munich)})
		got := update(t, a, made.RemoteID, tandem.Patch{Address: to(london)})
		require.Equal(t, london, got.Fields.Address, "no line 2 and no state of the old one")
	},
	"one metadata key goes and the others stay": func(t *testing.T, a Account) {
		made := create(t, a, whole())
		got := update(t, a, made.RemoteID, tandem.Patch{Metadata: map[string]string{"plan": "", "new": "1"}})
		require.Equal(t, map[string]string{"seats": "3", "new": "1"}, got.Fields.Metadata)
		require.Equal(t, marks, got.Fields.Reserved)
	},
	"reserved metadata is kept apart": func(t *testing.T, a Account) {
		made := create(t, a, whole())
		require.Equal(t, map[string]string{"plan": "pro", "seats": "3"}, made.Fields.Metadata)
		require.Equal(t, marks, made.Fields.Reserved)
	},
	"every script of the world": func(t *testing.T, a Account) {
		body := tandem.Patch{
			Name: to("Åsa Müller-Ñandú 山田太郎 محمد 👩‍👩‍👧"), Email: to(newEmail()),
			Address:  &tandem.Address{Line1: "東京都千代田区1-1", City: "Łódź & Co = 100%", Country: "JP"},
			Metadata: map[string]string{"größe": "XL", "note": "a&b=c+d %20 [x]\nnew line \"quoted\"", "emoji 🎉": "🎉"},
		}
		made := create(t, a, body)
		sameFields(t, tandem.Fields{}.With(body), made.Fields)
		sameFields(t, made.Fields, fetch(t, a, made.RemoteID).Fields)
	},
	"what Check passes is accepted": func(t *testing.T, a Account) {
		body := whole()
		require.Empty(t, a.Check(tandem.Fields{}.With(body)))
		create(t, a, body)
	},
	"delete, twice": func(t *testing.T, a Account) {
		made := create(t, a, whole())
		for range 2 {
			s, err := a.Delete(t.Context(), made.RemoteID)
			require.NoError(t, err)
			require.True(t, s.Deleted)
			require.Equal(t, made.RemoteID, s.RemoteID)
			require.False(t, s.SeenTo.IsZero())
		}
	},
	"a deleted customer": func(t *testing.T, a Account) {
		made := create(t, a, whole())
		_, err := a.Delete(t.Context(), made.RemoteID)
		require.NoError(t, err)
		read := fetch(t, a, made.RemoteID)
		require.True(t, read.Deleted, "read as deleted, without an error")
		_, err = a.Update(t.Context(), made.RemoteID, newKey(), tandem.Patch{Name: to("Back again")})
		wantClass(t, tandem.Gone, err)
		require.True(t, fetch(t, a, made.RemoteID).Deleted, "an update brings nobody back")
	},
	"a customer nobody heard of": func(t *testing.T, a Account) {
		id := unique("nobody_")
		_, err := a.Fetch(t.Context(), id)
		wantClass(t, tandem.Gone, err)
		_, err = a.Update(t.Context(), id, newKey(), tandem.Patch{Name: to("Nobody")})
		wantClass(t, tandem.Gone, err)
		s, err := a.Delete(t.Context(), id)
		require.NoError(t, err, "gone already is as good as deleted")
		require.True(t, s.Deleted)
	},
	"a value the provider refuses": func(t *testing.T, a Account) {
		_, err := a.Create(t.Context(), newKey(), tandem.Patch{Email: to("not an address")})
		wantClass(t, tandem.Invalid, err)
	},
}
