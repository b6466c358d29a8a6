package providertest

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

// notVerified insists on the one code for every signature that does not hold.
func notVerified(t *testing.T, a Account, h http.Header, body []byte, now time.Time) {
	t.Helper()
	_, err := a.VerifyWebhook(h, body, now)
	wantClass(t, tandem.Invalid, err)
	require.Equal(t, tandem.CodeSignatureInvalid, tandem.CodeOf(err))
}

var webhooks = map[string]func(*testing.T, Account){
	"an event is the customer it tells of": func(t *testing.T, a Account) {
		made := create(t, a, whole())
		body := a.Event(t, made.RemoteID)
		now := time.Now()
		e, err := a.VerifyWebhook(a.Sign(body, now, SecretNew), body, now)
		require.NoError(t, err)
		require.NotEmpty(t, e.ID)
		require.NotEmpty(t, e.Type)
		require.Equal(t, made.RemoteID, e.ObjectID)
		require.Equal(t, body, e.Payload)
		require.NotNil(t, e.State)
		s := *e.State
		require.Equal(t, a.Name(), s.Provider)
		require.Equal(t, made.RemoteID, s.RemoteID)
		require.Equal(t, tandem.FromEvent, s.Source)
		require.Equal(t, []any{e.ID, e.Type, e.Key}, []any{s.EventID, s.EventType, s.Key})
		require.Equal(t, made.Key, s.Key, "our own write is recognised by its key")
		require.Equal(t, []time.Time{e.Created, e.Created}, []time.Time{s.SeenFrom, s.SeenTo})
		require.Equal(t, []bool{made.Livemode, made.Livemode}, []bool{e.Livemode, s.Livemode})
		require.False(t, s.Deleted)
		require.Empty(t, s.Absent)
		sameFields(t, made.Fields, s.Fields)

		again, err := a.ParseEvent(body)
		require.NoError(t, err)
		require.Equal(t, e, again, "the ledger reads what the webhook said")
	},
	"either secret is good": func(t *testing.T, a Account) {
		body, now := a.Event(t, create(t, a, whole()).RemoteID), time.Now()
		for _, secret := range []string{SecretOld, SecretNew} {
			_, err := a.VerifyWebhook(a.Sign(body, now, secret), body, now)
			require.NoError(t, err)
		}
	},
	"another secret is not": func(t *testing.T, a Account) {
		body, now := a.Event(t, create(t, a, whole()).RemoteID), time.Now()
		notVerified(t, a, a.Sign(body, now, "whsec_forged"), body, now)
		notVerified(t, a, a.Sign(body, now, ""), body, now)
		notVerified(t, a, http.Header{}, body, now)
	},
	"nothing may be changed after signing": func(t *testing.T, a Account) {
		body, now := a.Event(t, create(t, a, whole()).RemoteID), time.Now()
		changed := append([]byte{}, body...)
		changed[len(changed)/2] ^= 1
		notVerified(t, a, a.Sign(body, now, SecretNew), changed, now)
		notVerified(t, a, a.Sign(body, now, SecretNew), append(body, '\n'), now)
	},
	"a signature has its time": func(t *testing.T, a Account) {
		body, now := a.Event(t, create(t, a, whole()).RemoteID), time.Now()
		for _, age := range []time.Duration{time.Hour, -time.Hour} {
			notVerified(t, a, a.Sign(body, now.Add(-age), SecretNew), body, now)
		}
	},
	"a signed body that is no event": func(t *testing.T, a Account) {
		now := time.Now()
		for _, body := range []string{"", "{}", "[]", "hello"} {
			_, err := a.VerifyWebhook(a.Sign([]byte(body), now, SecretNew), []byte(body), now)
			wantClass(t, tandem.Invalid, err)
			require.Equal(t, tandem.CodeEventInvalid, tandem.CodeOf(err))
		}
	},
}
