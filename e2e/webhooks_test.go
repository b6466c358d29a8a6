package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a webhook delivery can suffer strikes everybody's events, so these tests take turns on the rough stack.

func eventsThatWaitedArriveWhole(t *testing.T, s *stack) {
	kept := s.rests(t, s.create(t, person("kept")).ID)
	doomed := s.rests(t, s.create(t, person("doomed")).ID)

	s.stripe.pause(t)
	s.stripe.edit(t, kept.stripe().RemoteID, object{"name": marker + " while paused"})
	s.edit(t, kept.ID, object{"metadata": object{"edited": "meanwhile"}})
	s.stripe.edit(t, kept.stripe().RemoteID, object{"phone": "+1 555 7777"})
	s.stripe.edit(t, doomed.stripe().RemoteID, object{"name": marker + " last words"})
	s.stripe.remove(t, doomed.stripe().RemoteID)
	added := s.stripe.create(t, remotePerson("added"))
	s.stripe.edit(t, added.ID, object{"name": marker + " added, then edited"})
	short := s.stripe.create(t, remotePerson("short"))
	s.stripe.remove(t, short.ID)
	pushed := s.synced(t, s.create(t, person("pushed")).ID)
	require.Empty(t, s.ledger(t, pushed.stripe().RemoteID), "the sync does not need its echo")
	s.stripe.resume(t)

	after, r := s.agrees(t, kept.ID)
	require.Equal(t, marker+" while paused", r.Name)
	require.Equal(t, "+1 555 7777", after.Phone)
	require.Equal(t, "meanwhile", r.Metadata["edited"])
	s.archived(t, doomed.ID)
	c, _ := s.agrees(t, s.imported(t, added.ID).ID)
	require.Equal(t, marker+" added, then edited", c.Name)
	s.agrees(t, pushed.ID)
	eventually(t, func(ct *assert.CollectT) {
		require.Equal(ct, 1, s.count(ct, `SELECT count(*) FROM remote_tombstones WHERE provider_entity_id = $1`, short.ID))
	}, "the tombstone of a customer that came and went")
	require.Empty(t, s.list(t, "status=active&provider_entity_id="+short.ID))
}

func eventsDeliveredFourTimesCountOnce(t *testing.T, s *stack) {
	s.stripe.set(t, object{"webhook_duplicates": 3, "webhook_jitter": "100ms"})
	ours := s.create(t, person("duplicates-out"))
	theirs := s.stripe.create(t, remotePerson("duplicates-in"))
	c := s.imported(t, theirs.ID)
	s.stripe.edit(t, theirs.ID, object{"name": marker + " edited there"})
	s.edit(t, ours.ID, object{"name": marker + " edited here"})
	s.stripe.waitIdle(t)

	ours, _ = s.agrees(t, ours.ID)
	c, _ = s.agrees(t, c.ID)
	require.Equal(t, marker+" edited there", c.Name)
	s.stripe.waitIdle(t) // the edit made here reached Stripe after the first wait, and its event came four times too
	for _, remoteID := range []string{ours.stripe().RemoteID, theirs.ID} {
		events := s.ledger(t, remoteID)
		require.Len(t, events, 2)
		for _, e := range events {
			require.Equal(t, 4, e.Deliveries)
		}
	}
	require.Len(t, s.journal(t, c.ID), 2)
	require.Len(t, s.stripe.of(t, ours.ID), 1)
}

func eventsOutOfOrderEndWithTheLatest(t *testing.T, s *stack) {
	pairs := []customer{
		s.rests(t, s.create(t, person("reorder-out")).ID),
		s.rests(t, s.imported(t, s.stripe.create(t, remotePerson("reorder-in")).ID).ID),
	}
	s.stripe.set(t, object{"webhook_reorder": 6, "webhook_reorder_wait": "500ms", "webhook_duplicates": 1})
	for _, c := range pairs {
		for i := range 5 {
			s.stripe.edit(t, c.stripe().RemoteID, object{
				"name":     fmt.Sprintf("%s revision %d", marker, i),
				"metadata": object{fmt.Sprint("step", i): fmt.Sprint(i), fmt.Sprint("step", i-1): nil},
			})
		}
	}
	for _, c := range pairs {
		s.edit(t, c.ID, object{"phone": "+1 555 0001"})
	}
	newborn := s.stripe.create(t, remotePerson("reorder-new"))
	s.stripe.edit(t, newborn.ID, object{"name": marker + " second"})
	s.stripe.edit(t, newborn.ID, object{"name": marker + " third"})
	s.stripe.waitIdle(t)

	for _, c := range pairs {
		after, r := s.agrees(t, c.ID)
		require.Equal(t, marker+" revision 4", after.Name)
		require.Equal(t, "4", after.Metadata["step4"])
		require.NotContains(t, after.Metadata, "step3")
		require.Equal(t, "+1 555 0001", r.Phone)
	}
	c, _ := s.agrees(t, s.imported(t, newborn.ID).ID)
	require.Equal(t, marker+" third", c.Name)
}

func deleteThatOvertakesItsOwnPastStaysDeleted(t *testing.T, s *stack) {
	s.stripe.set(t, object{"webhook_reorder": 3, "webhook_reorder_wait": "5s"})
	r := s.stripe.create(t, remotePerson("stillborn"))
	s.stripe.edit(t, r.ID, object{"name": marker + " short life"})
	s.stripe.remove(t, r.ID)
	s.stripe.waitIdle(t)
	eventually(t, func(ct *assert.CollectT) {
		events := s.ledger(ct, r.ID)
		require.Len(ct, events, 3)
		for _, e := range events {
			require.Equal(ct, "ignored", e.State, "%+v", e)
		}
	}, "three events, all without effect")
	require.Empty(t, s.list(t, "provider_entity_id="+r.ID))
	require.Equal(t, 1, s.count(t, `SELECT count(*) FROM remote_tombstones WHERE provider_entity_id = $1`, r.ID))
}

func echoThatOvertakesItsAnswerChangesNothing(t *testing.T, s *stack) {
	s.stripe.set(t, object{"echo_first": true})
	c := s.create(t, person("echo-first"))
	s.agrees(t, c.ID)
	for i := range 4 {
		s.edit(t, c.ID, object{"name": fmt.Sprintf("%s echo %d", marker, i)})
		if i%2 == 0 {
			s.agrees(t, c.ID)
		}
	}
	after, r := s.agrees(t, c.ID)
	require.Equal(t, int64(5), after.Version, "an echo changed the customer")
	require.Equal(t, marker+" echo 3", r.Name)
	require.Equal(t, []remote{r}, s.stripe.of(t, c.ID))
	for _, e := range s.ledger(t, r.ID) {
		require.Contains(t, []string{"echo", "applied"}, e.State)
	}
	require.LessOrEqual(t, len(s.stripe.calls(t, c.ID, r.ID)), 5, "an echo cost a call")
}

func twinEventsCountOnce(t *testing.T, s *stack) {
	s.stripe.set(t, object{"twin_events": true})
	r := s.stripe.create(t, remotePerson("twins"))
	c := s.rests(t, s.imported(t, r.ID).ID)
	s.stripe.edit(t, r.ID, object{"name": marker + " once"})
	after, _ := s.agrees(t, c.ID)
	require.Equal(t, int64(2), after.Version)
	require.Len(t, s.ledger(t, r.ID), 4)
	require.Len(t, s.journal(t, c.ID), 2)
}

func eventsOfATimeWhenTandemWasDeafArriveLater(t *testing.T, s *stack) {
	s.stripe.set(t, object{"webhook_delay": "2s"})
	c := s.synced(t, s.create(t, person("late")).ID)
	s.stripe.edit(t, c.stripe().RemoteID, object{"name": marker + " there first"})
	s.edit(t, c.ID, object{"name": marker + " here second"})
	began := time.Now()
	after, _ := s.agrees(t, c.ID)
	require.Less(t, time.Since(began), patience)
	require.Equal(t, marker+" here second", after.Name, "the platform wins")
}
