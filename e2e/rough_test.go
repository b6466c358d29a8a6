package e2e_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTrouble is about what strikes everybody at once: faults of creates, whose ids nobody knows before, and trouble
// with the delivery of webhooks. So these tests have a stack of their own and take turns.
func TestTrouble(t *testing.T) {
	t.Parallel()
	s, err := startStack(stackOptions{ephemeral: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, end("rough", s, t.Failed())) })
	for _, trouble := range []struct {
		name string
		test func(*testing.T, *stack)
	}{
		{"CreateSurvives", createSurvives},
		{"CreateWithoutAnAnswerIsCompletedByItsEvent", createWithoutAnAnswerIsCompletedByItsEvent},
		{"RefusedCreateIsParkedAndTheNextEditHealsIt", refusedCreateIsParkedAndTheNextEditHealsIt},
		{"UpdateOfADeletedRemoteCustomerArchives", updateOfADeletedRemoteCustomerArchives},
		{"ChangesDuringACallAreNotSwallowed", changesDuringACallAreNotSwallowed},
		{"EventsThatWaitedArriveWhole", eventsThatWaitedArriveWhole},
		{"EventsDeliveredFourTimesCountOnce", eventsDeliveredFourTimesCountOnce},
		{"EventsOutOfOrderEndWithTheLatest", eventsOutOfOrderEndWithTheLatest},
		{"DeleteThatOvertakesItsOwnPastStaysDeleted", deleteThatOvertakesItsOwnPastStaysDeleted},
		{"EchoThatOvertakesItsAnswerChangesNothing", echoThatOvertakesItsAnswerChangesNothing},
		{"TwinEventsCountOnce", twinEventsCountOnce},
		{"EventsOfATimeWhenTandemWasDeafArriveLater", eventsOfATimeWhenTandemWasDeafArriveLater},
	} {
		t.Run(trouble.name, func(t *testing.T) { // they take turns
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				require.NoError(t, s.stripe.calmDown(ctx))
			})
			trouble.test(t, s)
		})
	}
}
