// Package providertest is the contract that every tandem.Provider keeps, as tests. A new provider is done when
//
//	providertest.Exercise(t, func(t *testing.T) providertest.Account { … })
//
// passes against its stand-in, and better still against a test account of the real thing. The tests know nothing of
// any provider: they speak the words of the root package only.
package providertest

import (
	"crypto/rand"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

// Harness opens an account for one test and closes it with the test. Tests run in parallel, and faults must not reach
// another test's account; apart from that it may be the same account each time, empty or not.
type Harness func(t *testing.T) Account

// Account is the provider under test, and what a test must be able to do around it. Its webhook secrets are
// SecretOld and SecretNew, both valid, as while one is being replaced.
type Account interface {
	tandem.Provider

	// Break makes the next call, of whatever kind, meet the fault. It skips the test where that cannot be done.
	Break(t *testing.T, f Fault)

	// Creates counts the remote customers that were really made in this account so far; false if nobody can know.
	Creates(t *testing.T) (int, bool)

	// Event returns the body of an event that tells of this remote customer's creation.
	Event(t *testing.T, remoteID string) []byte

	// Sign returns the headers under which the provider would deliver that body, at that time, with that secret.
	Sign(body []byte, at time.Time, secret string) http.Header
}

// The webhook secrets of every Account.
const (
	SecretOld = "whsec_providertest_old"
	SecretNew = "whsec_providertest_new"
)

// Fault is a kind of trouble.
type Fault string

// The faults. None but Lost and Garbled lets the call take effect.
const (
	Limited Fault = "limited" // too many requests
	Locked  Fault = "locked"  // somebody else holds the customer
	Down    Fault = "down"    // the provider says that it cannot at the moment
	Cut     Fault = "cut"     // the connection breaks before anything happened
	Lost    Fault = "lost"    // it happened, and the connection breaks before the answer
	Garbled Fault = "garbled" // it happened, and the answer cannot be read
	Refused Fault = "refused" // the key is not accepted
	Denied  Fault = "denied"  // the key lacks a permission
)

// Exercise runs the contract. It returns before the parallel tests in it are done, as t.Parallel has it: put it into
// a t.Run of its own when something is to be checked afterwards.
func Exercise(t *testing.T, open Harness) {
	t.Helper()
	for _, group := range []map[string]func(*testing.T, Account){customers, keys, lists, ranges, events, faults, webhooks} {
		for name, test := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, open(t))
			})
		}
	}
}

// unique makes a text that no other test uses, in this run or any before: real accounts keep what tests leave.
func unique(prefix string) string { return prefix + rand.Text()[:16] }

func newKey() string { return unique("tandem:providertest:") }

func newEmail() string { return unique("ada.") + "@example.org" }

func to[T any](v T) *T { return &v }

// create makes a customer and insists on it.
func create(t *testing.T, a Account, body tandem.Patch) tandem.RemoteState {
	t.Helper()
	s, err := a.Create(t.Context(), newKey(), body)
	require.NoError(t, err)
	require.NotEmpty(t, s.RemoteID)
	return s
}

func update(t *testing.T, a Account, id string, body tandem.Patch) tandem.RemoteState {
	t.Helper()
	s, err := a.Update(t.Context(), id, newKey(), body)
	require.NoError(t, err)
	return s
}

func fetch(t *testing.T, a Account, id string) tandem.RemoteState {
	t.Helper()
	s, err := a.Fetch(t.Context(), id)
	require.NoError(t, err)
	return s
}

// sameFields compares what a person would see, and the marks of ours exactly.
func sameFields(t *testing.T, want, got tandem.Fields) {
	t.Helper()
	require.True(t, want.Equal(got), "want %+v\ngot  %+v", want, got)
	if want.Reserved != nil {
		require.Equal(t, want.Reserved, got.Reserved)
	}
}

// wantClass insists on the class, and on the error being one of the house that says something.
func wantClass(t *testing.T, want tandem.Class, err error) {
	t.Helper()
	var e *tandem.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, want, e.Class, "%v", err)
	require.NotEmpty(t, e.Code)
	require.NotEmpty(t, e.Message)
}
