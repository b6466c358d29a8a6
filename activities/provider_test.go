package activities_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// requireRetried insists on an error that Temporal retries, and returns the wait it asks for.
func requireRetried(t *testing.T, err error) time.Duration {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.False(t, app.NonRetryable(), err)
	return app.NextRetryDelay()
}

func requireFinal(t *testing.T, err error) {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.True(t, app.NonRetryable(), err)
}

func TestCallProvider(t *testing.T) {
	t.Parallel()
	t.Run("a create made twice is one remote customer", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			_, call := b.stored(t)
			one, two := twice(t, b, s, b.acts.CallProvider, call)
			require.Equal(t, one.RemoteID, two.RemoteID)
			require.Equal(t, one.Fields, two.Fields)
			require.Equal(t, call.Key, one.Key)
			require.Equal(t, call.MappingVersion, one.After)
			require.Equal(t, "stripe", one.Provider)
			require.True(t, two.Replayed)
			require.Equal(t, []string{"create applied", "create replayed"}, b.requests())
			require.Len(t, b.standIn.Customers(), 1)
			require.Equal(t, []string{"stripe create ", "stripe create "}, b.metrics.calls)
		})
	})
	t.Run("an update made twice is one change", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, remoteID := b.synced(t)
			call := b.renamed(t, id, "Grace Example")
			one, two := twice(t, b, s, b.acts.CallProvider, call)
			require.Equal(t, remoteID, one.RemoteID)
			require.Equal(t, one.Fields, two.Fields)
			require.Equal(t, []string{"create applied", "update applied", "update replayed"}, b.requests())
			ops := b.standIn.Operations()
			require.Equal(t, []string{"name"}, ops[1].Changed)
			require.Len(t, ops[1].Form, 1, "only what changed is sent")
		})
	})
	t.Run("an update of a deleted customer proves the deletion, both times", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, remoteID := b.synced(t)
			call := b.renamed(t, id, "Grace Example")
			require.NoError(t, b.standIn.DeleteCustomer(remoteID))
			one, two := twice(t, b, s, b.acts.CallProvider, call)
			require.True(t, one.Deleted)
			require.True(t, two.Deleted)
			require.Equal(t, call.Key, one.Key)
			require.Equal(t, 2, count(b.requests(), "retrieve"))
		})
	})
	t.Run("an update of a customer the provider never had is gone, and proves nothing", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, _ := b.synced(t)
			call := b.renamed(t, id, "Grace Example")
			call.RemoteID = "cus_of_another_account"
			_, err := get(t, b, s, b.acts.CallProvider, call)
			requireFinal(t, err)
			require.Equal(t, tandem.Gone, activities.FailureOf(err, time.Now()).Class)
			require.Equal(t, tandem.Active, b.customer(t, id).Status)
		})
	})
	t.Run("past the life of its key no call is made", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, call := b.stored(t)
			call.FrozenAt = time.Now().Add(-activities.KeyLife - time.Minute)
			for range 2 {
				_, err := get(t, b, s, b.acts.CallProvider, call)
				requireFinal(t, err)
				failure := activities.FailureOf(err, time.Now())
				require.Equal(t, tandem.Ambiguous, failure.Class)
				require.Equal(t, tandem.CodeKeyExpired, failure.Code)
			}
			require.Empty(t, b.requests())
			require.Equal(t, tandem.Retrying, b.mapping(t, id).State, "what became of it is being looked up")
			call.FrozenAt = time.Now().Add(-activities.KeyLife + time.Minute)
			_, err := get(t, b, s, b.acts.CallProvider, call)
			require.NoError(t, err)
		})
	})
	t.Run("a provider or an action that nobody knows is final", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			_, call := b.stored(t)
			call.Provider = "other"
			_, err := get(t, b, s, b.acts.CallProvider, call)
			requireFinal(t, err)
			require.Equal(t, tandem.CodeProviderUnknown, activities.FailureOf(err, time.Now()).Code)
			call.Provider, call.Action = "stripe", "explode"
			_, err = get(t, b, s, b.acts.CallProvider, call)
			requireFinal(t, err)
			require.Equal(t, tandem.Bug, activities.FailureOf(err, time.Now()).Class)
			_, err = get(t, b, s, b.acts.FetchRemote, activities.FetchInput{Provider: "other", RemoteID: "cus_1"})
			requireFinal(t, err)
		})
	})
}

// quoting is a fault whose message quotes what was sent, as Stripe's do.
func quoting(status int, code string) stripetest.Fault {
	return stripetest.Fault{Kind: stripetest.Custom, Status: status, Code: code, Param: "email", Message: "Invalid email address: " + canary}
}

func TestCallProvider_faults(t *testing.T) {
	t.Parallel()
	short, long := [2]time.Duration{500 * time.Millisecond, time.Second}, [2]time.Duration{2500 * time.Millisecond, 5 * time.Second}
	for name, c := range map[string]struct {
		fault   stripetest.Fault
		class   tandem.Class
		wait    [2]time.Duration // zero: final
		stays   bool             // the same request brings the same failure
		applied bool             // it was carried out all the same
	}{
		"connection breaks before":     {fault: stripetest.Fault{Kind: stripetest.DropBefore}, class: tandem.Ambiguous, wait: short},
		"connection breaks after":      {fault: stripetest.Fault{Kind: stripetest.ApplyDrop}, class: tandem.Ambiguous, wait: short, applied: true},
		"no answer in time":            {fault: stripetest.Fault{Kind: stripetest.ApplyHang}, class: tandem.Ambiguous, wait: short, applied: true},
		"answer breaks off":            {fault: stripetest.Fault{Kind: stripetest.Truncate}, class: tandem.Ambiguous, wait: short, applied: true},
		"a page with status 200":       {fault: stripetest.Fault{Kind: stripetest.HTML200}, class: tandem.Ambiguous, wait: short, applied: true},
		"a proxy's 502":                {fault: stripetest.Fault{Kind: stripetest.HTML502}, class: tandem.Ambiguous, wait: short},
		"503":                          {fault: quoting(http.StatusServiceUnavailable, ""), class: tandem.Ambiguous, wait: short},
		"a saved 500, nothing done":    {fault: stripetest.Fault{Kind: stripetest.Error500}, class: tandem.Ambiguous, wait: short, stays: true},
		"a saved 500, done":            {fault: stripetest.Fault{Kind: stripetest.Error500Done}, class: tandem.Ambiguous, wait: short, stays: true, applied: true},
		"429 rate limit":               {fault: stripetest.Fault{Kind: stripetest.RateLimit}, class: tandem.RateLimited, wait: short},
		"429 lock timeout":             {fault: stripetest.Fault{Kind: stripetest.LockTimeout}, class: tandem.RateLimited, wait: short},
		"409 key in use":               {fault: stripetest.Fault{Kind: stripetest.KeyInUse}, class: tandem.RateLimited, wait: short},
		"429 that quotes":              {fault: quoting(http.StatusTooManyRequests, "rate_limit"), class: tandem.RateLimited, wait: short},
		"401":                          {fault: stripetest.Fault{Kind: stripetest.Unauthorized}, class: tandem.Auth, wait: long},
		"403":                          {fault: stripetest.Fault{Kind: stripetest.Forbidden}, class: tandem.Auth, wait: long},
		"401 that quotes":              {fault: quoting(http.StatusUnauthorized, ""), class: tandem.Auth, wait: long},
		"400":                          {fault: quoting(http.StatusBadRequest, "email_invalid"), class: tandem.Invalid},
		"402":                          {fault: quoting(http.StatusPaymentRequired, "card_declined"), class: tandem.Invalid},
		"a redirect to somewhere else": {fault: quoting(http.StatusFound, ""), class: tandem.Bug},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s := setup(t), styles["activity"]
			id, call := b.stored(t)
			b.standIn.AddFault(c.fault)
			_, err := get(t, b, s, b.acts.CallProvider, call)
			require.Error(t, err)
			failure := activities.FailureOf(err, time.Now())
			require.Equal(t, c.class, failure.Class, failure)
			require.Equal(t, []string{"stripe create " + string(c.class)}, b.metrics.calls)
			require.NotContains(t, err.Error(), canary)
			require.NotContains(t, err.Error(), failure.Message, "the provider's words are for the mapping only")
			require.NotContains(t, b.logs.String(), canary)
			m := b.mapping(t, id)
			if c.wait[1] == 0 {
				requireFinal(t, err)
				require.Equal(t, tandem.Pending, m.State, "whoever parks it says why")
				return
			}
			if c.stays {
				requireFinal(t, err) // to ask again would teach nothing: it has to be looked up
				requireProof(t, b, s, call, c.applied)
			} else {
				wait := requireRetried(t, err)
				require.GreaterOrEqual(t, wait, c.wait[0])
				require.LessOrEqual(t, wait, c.wait[1])
			}
			require.Equal(t, tandem.Retrying, m.State)
			require.Equal(t, c.class, m.LastError.Class)
			require.Equal(t, failure.Code, m.LastError.Code)
			require.Equal(t, failure.Message, m.LastError.Message)
			require.Equal(t, 1, m.LastError.Attempt)
			require.Equal(t, call.MappingVersion, m.Version, "an attempt is no news about the customer")
			require.Equal(t, call, b.planned(t, id), "the next attempt is the same request")

			_, err = get(t, b, s, b.acts.CallProvider, call)
			if c.stays {
				require.Equal(t, c.class, activities.FailureOf(err, time.Now()).Class)
			} else {
				require.NoError(t, err)
			}
			if c.applied || !c.stays {
				require.Len(t, b.standIn.Customers(), 1, "one customer, however often")
			} else {
				require.Empty(t, b.standIn.Customers())
			}
		})
	}
}

// requireProof looks up, twice, whether a call happened.
func requireProof(t *testing.T, b *bundle, s style, call tandem.Call, happened bool) {
	t.Helper()
	for range 2 {
		proof, err := get(t, b, s, b.acts.ProveCall, call)
		require.NoError(t, err)
		require.Equal(t, happened, proof.State != nil)
		if happened {
			require.Equal(t, call.Key, proof.State.Key)
			require.Equal(t, call.CustomerID, proof.State.Fields.Reserved[tandem.KeyCustomerID])
		}
	}
}

func TestFetchRemote_faults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault stripetest.Fault
		class tandem.Class
		final bool
	}{
		"connection breaks": {fault: stripetest.Fault{Kind: stripetest.DropBefore}, class: tandem.Transient},
		"503":               {fault: stripetest.Fault{Kind: stripetest.Error503}, class: tandem.Transient},
		"500":               {fault: stripetest.Fault{Kind: stripetest.Error500}, class: tandem.Transient},
		"429":               {fault: stripetest.Fault{Kind: stripetest.RateLimit}, class: tandem.RateLimited},
		"401":               {fault: stripetest.Fault{Kind: stripetest.Unauthorized}, class: tandem.Auth},
		"400":               {fault: quoting(http.StatusBadRequest, ""), class: tandem.Invalid, final: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s := setup(t), styles["activity"]
			remoteID := b.foreign(t)
			b.standIn.AddFault(c.fault)
			in := activities.FetchInput{Provider: "stripe", RemoteID: remoteID, After: 3, Key: "k", EventRows: []string{"pev_1"}}
			_, err := get(t, b, s, b.acts.FetchRemote, in)
			require.Error(t, err)
			require.Equal(t, c.class, activities.FailureOf(err, time.Now()).Class)
			require.NotContains(t, err.Error(), canary)
			require.NotContains(t, b.logs.String(), canary)
			if c.final {
				requireFinal(t, err)
				return
			}
			require.Positive(t, requireRetried(t, err))
			state, err := get(t, b, s, b.acts.FetchRemote, in)
			require.NoError(t, err)
			require.Equal(t, in.After, state.After)
			require.Equal(t, in.Key, state.Key)
			require.Equal(t, in.EventRows, state.EventRows)
			require.Equal(t, canary, state.Fields.Email)
		})
	}
	t.Run("a customer the provider never had", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := get(t, b, styles["activity"], b.acts.FetchRemote, activities.FetchInput{Provider: "stripe", RemoteID: "cus_of_another_account"})
		requireFinal(t, err)
		require.Equal(t, tandem.Gone, activities.FailureOf(err, time.Now()).Class)
	})
}
