package providertest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

// meets says what a fault looks like to one who reads and to one who writes. A read that is cut off may succeed all the
// same: HTTP clients try it again by themselves, and reading twice changes nothing.
var meets = []struct {
	fault       Fault
	read, write tandem.Class
}{
	{Limited, tandem.RateLimited, tandem.RateLimited},
	{Locked, tandem.RateLimited, tandem.RateLimited},
	{Down, tandem.Transient, tandem.Ambiguous},
	{Cut, tandem.Transient, tandem.Ambiguous},
	{Garbled, tandem.Transient, tandem.Ambiguous},
	{Lost, tandem.Transient, tandem.Ambiguous},
	{Refused, tandem.Auth, tandem.Auth},
	{Denied, tandem.Auth, tandem.Auth},
}

var faults = map[string]func(*testing.T, Account){
	"faults have their classes": func(t *testing.T, a Account) {
		made := create(t, a, whole())
		for _, m := range meets {
			cut := m.fault == Cut || m.fault == Lost
			a.Break(t, m.fault)
			if _, err := a.Fetch(t.Context(), made.RemoteID); err != nil || !cut {
				wantClass(t, m.read, err)
			}
			a.Break(t, m.fault)
			if _, err := a.List(t.Context(), tandem.ListQuery{}); err != nil || !cut {
				wantClass(t, m.read, err)
			}
			a.Break(t, m.fault)
			if _, err := a.Events(t.Context(), tandem.EventsQuery{}); err != nil || !cut {
				wantClass(t, m.read, err)
			}
			a.Break(t, m.fault)
			_, err := a.Update(t.Context(), made.RemoteID, newKey(), tandem.Patch{Name: to("Ada " + string(m.fault))})
			wantClass(t, m.write, err)
			a.Break(t, m.fault)
			_, err = a.Create(t.Context(), newKey(), whole())
			wantClass(t, m.write, err)
		}
		require.False(t, fetch(t, a, made.RemoteID).Deleted)
	},
	"every fault is over with the same call again": func(t *testing.T, a Account) {
		for _, m := range meets {
			made := creates(t, a)
			key, body := newKey(), whole()
			a.Break(t, m.fault)
			_, err := a.Create(t.Context(), key, body)
			wantClass(t, m.write, err)
			require.True(t, tandem.ClassOf(err).Retryable(), "%s", m.fault)
			s, err := a.Create(t.Context(), key, body)
			require.NoError(t, err, "%s", m.fault)
			sameFields(t, tandem.Fields{}.With(body), s.Fields)
			require.Equal(t, m.fault == Lost || m.fault == Garbled, s.Replayed, "%s", m.fault)
			made(1)
		}
	},
	"a delete whose answer was lost": func(t *testing.T, a Account) {
		made := create(t, a, whole())
		a.Break(t, Lost)
		_, err := a.Delete(t.Context(), made.RemoteID)
		wantClass(t, tandem.Ambiguous, err)
		s, err := a.Delete(t.Context(), made.RemoteID)
		require.NoError(t, err)
		require.True(t, s.Deleted)
	},
	"a caller who has given up gets an answer of the house": func(t *testing.T, a Account) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := a.Fetch(ctx, "anybody")
		wantClass(t, tandem.Transient, err)
		_, err = a.Create(ctx, newKey(), whole())
		require.True(t, tandem.ClassOf(err).Retryable(), "%v", err)
	},
}
