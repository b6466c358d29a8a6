package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/tandem-sync/tandem"
)

// fail runs failed inside an act.
func fail(t *testing.T, err error) error {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	act := func(ctx context.Context) error { return failed(ctx, err) }
	env.RegisterActivity(act)
	_, out := env.ExecuteActivity(act)
	return out
}

func TestFailed(t *testing.T) {
	t.Parallel()
	require.NoError(t, fail(t, nil))
	for name, c := range map[string]struct {
		err     error
		class   tandem.Class
		message string
		again   bool
	}{
		"transient":     {tandem.Errorf(tandem.Transient, "unavailable", "secret"), tandem.Transient, "transient/unavailable", true},
		"ambiguous":     {tandem.Errorf(tandem.Ambiguous, "timeout", "secret"), tandem.Ambiguous, "ambiguous/timeout", true},
		"saved failure": {tandem.Errorf(tandem.Ambiguous, tandem.CodeSavedFailure, "secret"), tandem.Ambiguous, "ambiguous/saved_500", false},
		"rate limited":  {tandem.Errorf(tandem.RateLimited, "rate_limit", "secret"), tandem.RateLimited, "rate_limited/rate_limit", true},
		"auth":          {tandem.Errorf(tandem.Auth, "api_key_invalid", "secret"), tandem.Auth, "auth/api_key_invalid", true},
		"invalid": {
			&tandem.Error{Class: tandem.Invalid, Code: "email_invalid", Param: "email", RequestID: "req_1", Message: "secret"},
			tandem.Invalid, "invalid/email_invalid in email (req_1)", false,
		},
		"gone":          {tandem.Errorf(tandem.Gone, "remote_gone", "secret"), tandem.Gone, "gone/remote_gone", false},
		"conflict":      {tandem.Errorf(tandem.Conflict, "linked_elsewhere", "secret"), tandem.Conflict, "conflict/linked_elsewhere", false},
		"bug":           {tandem.Errorf(tandem.Bug, "internal", "secret"), tandem.Bug, "bug/internal", false},
		"foreign":       {errors.New("secret"), tandem.Bug, "bug/internal", false},
		"wrapped":       {fmt.Errorf("secret: %w", tandem.Errorf(tandem.Auth, "api_key_invalid", "secret")), tandem.Auth, "auth/api_key_invalid", true},
		"expired key":   {tandem.Errorf(tandem.Ambiguous, tandem.CodeKeyExpired, "secret"), tandem.Ambiguous, "ambiguous/idempotency_key_expired", false},
		"unknown class": {tandem.Errorf("news", "x", "secret"), "news", "news/x", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := fail(t, c.err)
			app, ok := errors.AsType[*temporal.ApplicationError](err)
			require.True(t, ok)
			require.Equal(t, c.message, app.Message())
			require.NotContains(t, err.Error(), "secret", "messages are logged")
			require.Equal(t, string(c.class), app.Type())
			require.Equal(t, !c.again, app.NonRetryable())
			require.Equal(t, c.again, app.NextRetryDelay() > 0)
			require.Equal(t, c.again, app.Category() == temporal.ApplicationErrorCategoryBenign)

			last := FailureOf(err, time.Time{})
			require.Equal(t, c.class, last.Class)
			require.Contains(t, last.Message, "secret", "people who look at the mapping see the provider's words")
			require.Equal(t, 1, last.Attempt)
			require.WithinDuration(t, time.Now(), last.At, time.Minute)
		})
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		class   tandem.Class
		attempt int
		longest time.Duration // half of which is random
	}{
		{tandem.Transient, 0, time.Second},
		{tandem.Transient, 1, time.Second},
		{tandem.Transient, 2, 2 * time.Second},
		{tandem.Transient, 7, 64 * time.Second},
		{tandem.Transient, 8, 2 * time.Minute},
		{tandem.Transient, 11, 2 * time.Minute},
		{tandem.Transient, 12, 2 * time.Minute},
		{tandem.Transient, 100_000, 2 * time.Minute},
		{tandem.Ambiguous, 3, 4 * time.Second},
		{tandem.RateLimited, 1, time.Second},
		{tandem.RateLimited, 5, 16 * time.Second},
		{tandem.RateLimited, 6, 30 * time.Second},
		{tandem.RateLimited, 1000, 30 * time.Second},
		{tandem.Auth, 1, 5 * time.Second},
		{tandem.Auth, 4, 40 * time.Second},
		{tandem.Auth, 5, time.Minute},
		{tandem.Auth, 1000, time.Minute},
	} {
		seen := map[time.Duration]bool{}
		for range 200 {
			d := backoff(c.class, c.attempt)
			require.GreaterOrEqual(t, d, c.longest/2, "%s %d", c.class, c.attempt)
			require.Less(t, d, c.longest, "%s %d", c.class, c.attempt)
			seen[d] = true
		}
		require.Greater(t, len(seen), 100, "workers that failed together come back together")
	}
}

func TestFailureOf(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	require.Nil(t, FailureOf(nil, now))
	ours := tandem.LastError{Class: tandem.Invalid, Code: "email_invalid", Message: "m", Param: "email", RequestID: "req_1", At: now.Add(-time.Hour), Attempt: 3}
	for name, c := range map[string]struct {
		err  error
		want tandem.LastError
	}{
		"ours":              {temporal.NewNonRetryableApplicationError("x", "invalid", nil, ours), ours},
		"ours, wrapped":     {fmt.Errorf("activity: %w", temporal.NewNonRetryableApplicationError("x", "invalid", nil, ours)), ours},
		"a time-out":        {temporal.NewTimeoutError(enums.TIMEOUT_TYPE_START_TO_CLOSE, nil), tandem.LastError{Class: tandem.Ambiguous, Code: tandem.CodeInternal, At: now}},
		"somebody else's":   {temporal.NewApplicationError("boom", "Other"), tandem.LastError{Class: tandem.Bug, Code: tandem.CodeInternal, At: now}},
		"without a class":   {temporal.NewApplicationError("boom", "Other", tandem.LastError{Code: "x"}), tandem.LastError{Class: tandem.Bug, Code: tandem.CodeInternal, At: now}},
		"other details":     {temporal.NewApplicationError("boom", "Other", "text"), tandem.LastError{Class: tandem.Bug, Code: tandem.CodeInternal, At: now}},
		"no Temporal error": {errors.New("boom"), tandem.LastError{Class: tandem.Bug, Code: tandem.CodeInternal, At: now}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fc := temporal.GetDefaultFailureConverter()
			err := c.err
			if _, ok := err.(*temporal.ApplicationError); ok { //nolint:errorlint // only the outermost goes over the wire
				err = fc.FailureToError(fc.ErrorToFailure(err))
			}
			got := FailureOf(err, now)
			if c.want.Message == "" {
				require.NotEmpty(t, got.Message)
				got.Message = ""
			}
			require.Equal(t, c.want, *got)
		})
	}
}
