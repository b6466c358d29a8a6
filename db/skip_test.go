package db_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func TestSkip(t *testing.T) {
	t.Parallel()
	unauthorized := &tandem.Error{Class: tandem.Auth, Code: "api_key_invalid", Message: "no such key", RequestID: "req_1"}

	t.Run("a call that is being retried is parked with why and when; the claim stays", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		call := b.plan(c.ID)
		require.NoError(t, b.NoteAttempt(b.ctx, call, unauthorized, 3))
		require.NoError(t, b.Skip(b.ctx, c.ID, "stripe", nil, work))
		m := b.mapping(c.ID)
		require.Equal(t, tandem.Parked, m.State)
		require.Equal(t, call.Key, m.Claim.Key)
		require.Equal(t, "api_key_invalid", m.LastError.Code)
		require.Equal(t, 3, m.LastError.Attempt)
		require.WithinDuration(t, time.Now(), *m.LastError.SkippedAt, time.Minute)
		require.Equal(t, []string{"outbound create", "outbound skip"}, b.story(c.ID))

		before := b.picture()
		require.NoError(t, b.Skip(b.ctx, c.ID, "stripe", nil, work))
		require.Equal(t, before, b.picture(), "skipping twice is skipping once")
	})
	t.Run("the attempt that was under way does not undo it; the next plan does, with the same call", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		call := b.plan(c.ID)
		require.NoError(t, b.NoteAttempt(b.ctx, call, unauthorized, 1))
		require.NoError(t, b.Skip(b.ctx, c.ID, "stripe", nil, work))
		before := b.picture()
		require.NoError(t, b.NoteAttempt(b.ctx, call, errors.New("late"), 2))
		require.Equal(t, before, b.picture())

		b.change(update(c.ID, tandem.Patch{Name: ptr("Grace")}))
		again := b.plan(c.ID)
		require.Equal(t, call.Key, again.Key)
		require.Equal(t, call.Body, again.Body)
		require.Equal(t, tandem.Pending, b.mapping(c.ID).State)
		require.Nil(t, b.mapping(c.ID).LastError)
		require.NoError(t, b.NoteAttempt(b.ctx, again, unauthorized, 1))
		require.Equal(t, tandem.Retrying, b.mapping(c.ID).State, "what the new attempts show is news")
	})
	t.Run("a call without an answer is an open question", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		b.plan(c.ID)
		require.NoError(t, b.Skip(b.ctx, c.ID, "stripe", nil, work))
		m := b.mapping(c.ID)
		require.Equal(t, tandem.Ambiguous, m.LastError.Class)
		require.Equal(t, tandem.CodeUnanswered, m.LastError.Code)
		require.NotNil(t, m.LastError.SkippedAt)
	})
	t.Run("a parked mapping says when too, and the next change freezes anew", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "not-an-address")
		call := b.plan(c.ID)
		require.NoError(t, b.Park(b.ctx, call, tandem.LastError{Class: tandem.Invalid, Code: "email_invalid", At: at(1)}, work))
		require.NoError(t, b.Skip(b.ctx, c.ID, "stripe", &tandem.LastError{Class: tandem.Bug, Code: "elsewhere"}, work))
		require.Equal(t, "email_invalid", b.mapping(c.ID).LastError.Code, "the mapping knows best")
		require.NotNil(t, b.mapping(c.ID).LastError.SkippedAt)
		require.NotEqual(t, call.Key, b.plan(c.ID).Key)
		require.Nil(t, b.mapping(c.ID).LastError)
	})
	t.Run("what waits for nothing is left alone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		before := b.picture()
		require.NoError(t, b.Skip(b.ctx, c.ID, "stripe", &tandem.LastError{Class: tandem.Auth, Code: "x"}, work))
		require.NoError(t, b.Skip(b.ctx, c.ID, "nobody", nil, work))
		require.Equal(t, before, b.picture())
		require.Equal(t, tandem.CodeCustomerNotFound, tandem.CodeOf(b.Skip(b.ctx, "cust_01ARZ3NDEKTSV4RRFFQ69G5FAV", "stripe", nil, work)))
	})
}
