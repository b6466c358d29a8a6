package api_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/api"
)

// eventually waits for what goes on behind an answer.
func (f *fixture) eventually(t testing.TB, is func() bool) {
	t.Helper()
	require.Eventually(t, is, 10*time.Second, time.Millisecond)
}

// deliverNew sends events nobody has seen, each about another customer.
func (f *fixture) deliverNew(t testing.TB, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		body := fmt.Sprintf(`{"id":"evt_%d","type":"customer.updated","customer":"cus_%d"}`, i, i)
		require.Equal(t, http.StatusOK, f.deliver(t, body, 0).status)
	}
}

const startsAtOnce = 32

func TestHandover(t *testing.T) {
	t.Parallel()

	t.Run("an_event_no_workflow_could_be_started_for_is_answered_and_left_to_the_drain", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.starter.err = errors.New("temporal away")
		require.Equal(t, object{"state": "received"}, f.deliver(t, updated, 0).json(t))
		f.eventually(t, func() bool { return f.starter.drained() > 0 })
		assert.Contains(t, f.logs.String(), "temporal away")
	})

	t.Run("the_answer_waits_for_no_start", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.starter.busy = make(chan struct{})
		f.deliverNew(t, 0, startsAtOnce) // answered, though none of the starts returns
		f.eventually(t, func() bool { return len(f.starter.inbounds()) == startsAtOnce })
		require.Zero(t, f.starter.drained())

		f.deliverNew(t, startsAtOnce, 2*startsAtOnce)
		f.eventually(t, func() bool { return f.starter.drained() > 0 })
		assert.Len(t, f.starter.inbounds(), startsAtOnce, "what finds no slot is left to the drain")
		close(f.starter.busy)
	})

	t.Run("after_an_overflow_everything_goes_to_the_drain_for_a_while", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.starter.busy = make(chan struct{})
		f.deliverNew(t, 0, startsAtOnce+1)
		close(f.starter.busy) // slots are free again
		f.deliverNew(t, 100, 110)
		assert.LessOrEqual(t, len(f.starter.inbounds()), startsAtOnce)
	})

	t.Run("events_are_applied_as_they_are_stored_after_an_overflow_and_not_before", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.starter.busy = make(chan struct{})
		defer close(f.starter.busy)
		f.deliverNew(t, 0, startsAtOnce+1)
		require.Zero(t, f.store.called("IngestAndApply"), "people want to see a workflow while there is room for one")
		f.deliverNew(t, 100, 110)
		assert.Equal(t, 10, f.store.called("IngestAndApply"))
	})

	t.Run("the_drain_is_told_of_what_came_after_the_last_signal", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.starter.err = errors.New("away")
		f.deliverNew(t, 0, 1)
		f.eventually(t, func() bool { return f.starter.drained() == 1 })
		f.deliverNew(t, 1, 2)
		f.eventually(t, func() bool { return f.starter.drained() >= 2 })
	})

	t.Run("a_stop_gives_up_what_is_under_way", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.starter.busy = make(chan struct{}) // never closed
		f.deliverNew(t, 0, 3)
		f.eventually(t, func() bool { return len(f.starter.inbounds()) == 3 })
		f.Close()
	})
}

func TestOverflow(t *testing.T) {
	t.Parallel()
	second := func(n int) time.Time { return time.Date(2031, 5, 1, 12, 0, n, 0, time.UTC) }
	var o api.Overflow
	for _, tt := range []struct {
		at, until int // seconds
		why       string
	}{
		{0, 5, "the first time"},
		{3, 8, "a start that was under way fails: the pause begins again, no longer than it was"},
		{9, 19, "the first try after it finds no room either"},
		{20, 40, "nor the second"},
		{41, 81, ""},
		{82, 142, "a minute at most"},
		{143, 203, ""},
		{203 + 61, 203 + 61 + 5, "a calm as long as the pause before: all is forgotten"},
	} {
		o.Extend(second(tt.at))
		require.Equal(t, second(tt.until), o.Until(), tt.why)
	}
}
