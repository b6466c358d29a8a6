package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

func TestSkipCall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id, call := b.stored(t)
	b.standIn.AddFault(stripetest.Fault{Kind: stripetest.Unauthorized, Op: "create", Count: -1})
	_, err := get(t, b, styles["activity"], b.acts.CallProvider, call)
	require.Error(t, err)
	require.Equal(t, tandem.Retrying, b.mapping(t, id).State)
	operator := tandem.Cause{Kind: tandem.ByOperator}
	for range 2 {
		require.NoError(t, run(t, b, styles["local activity"], b.acts.SkipCall, activities.SkipInput{CustomerID: id, Provider: "stripe", Cause: operator}))
	}
	m := b.mapping(t, id)
	require.Equal(t, tandem.Parked, m.State)
	require.Equal(t, tandem.Auth, m.LastError.Class)
	require.NotNil(t, m.LastError.SkippedAt)
	require.Equal(t, []string{"outbound create", "outbound skip stripe"}, b.story(t, id))
	require.NoError(t, run(t, b, styles["local activity"], b.acts.SkipCall, activities.SkipInput{CustomerID: newID("cust"), Provider: "stripe", Cause: operator}),
		"a customer whose change was refused has nothing to skip")
}

// The faults of our own input cross Temporal beside the failure: the caller needs them, a mapping does not show them.
func TestFieldErrors_cross(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id, _ := b.synced(t)
	_, err := get(t, b, styles["local activity"], b.acts.ResolveConflict, tandem.Resolve{
		ID: newID("res"), CustomerID: id, Provider: "stripe", Winners: map[string]tandem.Winner{"email": tandem.PlatformWins},
	})
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	var last tandem.LastError
	var fields []tandem.FieldError
	require.NoError(t, app.Details(&last, &fields))
	require.Equal(t, tandem.CodeInvalidRequest, last.Code)
	require.Equal(t, []tandem.FieldError{{Field: "winner.email", Code: "not_on_hold", Message: "this field is not on hold"}}, fields)
}
