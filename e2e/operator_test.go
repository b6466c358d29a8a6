package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// chapter is a journal entry as the API shows it.
type chapter struct {
	ID         string    `json:"id"`
	At         time.Time `json:"at"`
	Direction  string    `json:"direction"`
	Action     string    `json:"action"`
	Provider   string    `json:"provider"`
	RemoteID   string    `json:"provider_entity_id"`
	Cause      string    `json:"cause"`
	CauseID    string    `json:"cause_id"`
	WorkflowID string    `json:"workflow_id"`
	RunID      string    `json:"run_id"`
	Changes    []struct{ Field, Before, After string }
}

// chapters reads the whole journal, page by page.
func (s *stack) chapters(t tester, customerID string, limit int) []chapter {
	t.Helper()
	var all []chapter
	for cursor := ""; ; {
		var page struct {
			Items      []chapter
			Pagination struct {
				NextCursor string `json:"next_cursor"`
			}
		}
		a := s.call(t, http.MethodGet, fmt.Sprintf("/v1/customers/%s/journal?limit=%d%s", customerID, limit, cursor), nil)
		require.Equal(t, http.StatusOK, a.status, string(a.body))
		a.read(t, &page)
		require.LessOrEqual(t, len(page.Items), limit)
		all = append(all, page.Items...)
		if page.Pagination.NextCursor == "" {
			return all
		}
		cursor = "&cursor=" + page.Pagination.NextCursor
	}
}

// news is a row of the ledger as the API shows it.
type news struct {
	ID         string         `json:"id"`
	EventID    string         `json:"event_id"`
	Type       string         `json:"type"`
	ObjectID   string         `json:"object_id"`
	State      string         `json:"state"`
	Reason     string         `json:"reason"`
	Deliveries int            `json:"deliveries"`
	Payload    map[string]any `json:"payload"`
}

func (s *stack) news(t tester, query string) []news {
	t.Helper()
	a := s.call(t, http.MethodGet, "/v1/provider-events?"+query, nil)
	require.Equal(t, http.StatusOK, a.status, string(a.body))
	var page struct{ Items []news }
	a.read(t, &page)
	return page.Items
}

func (s *stack) newsByID(t tester, id string) news {
	t.Helper()
	a := s.call(t, http.MethodGet, "/v1/provider-events/"+id, nil)
	require.Equal(t, http.StatusOK, a.status, string(a.body))
	var n news
	a.read(t, &n)
	return n
}

// replay has an event decided on once more and waits until it is.
func (s *stack) replay(t *testing.T, id string) news {
	t.Helper()
	a := s.call(t, http.MethodPost, "/v1/provider-events/"+id+"/replay", nil)
	require.Equal(t, http.StatusAccepted, a.status, string(a.body))
	var out news
	eventually(t, func(ct *assert.CollectT) {
		out = s.newsByID(ct, id)
		require.NotEqual(ct, "received", out.State)
	}, "the replay of "+id)
	return out
}

func TestRetryWakesABackoffAtOnce(t *testing.T) {
	t.Parallel()
	c := calm.rests(t, calm.create(t, person("retry")).ID)
	fault := calm.stripe.fault(t, object{"kind": "unauthorized", "op": "update", "contains": c.stripe().RemoteID, "count": -1})
	calm.edit(t, c.ID, object{"name": marker + " woken"})
	eventually(t, func(ct *assert.CollectT) {
		last := calm.customer(ct, c.ID).stripe().LastError
		require.NotNil(ct, last)
		require.GreaterOrEqual(ct, last.Attempt, 3) // at least 10 s until the next
	}, "the third attempt")
	calm.stripe.unfault(t, fault)
	begun := time.Now()
	calm.wished(t, c.ID, "retry")
	after := calm.synced(t, c.ID)
	require.Less(t, time.Since(begun), 8*time.Second, "it went on waiting")
	require.Nil(t, after.stripe().LastError)
	_, r := calm.agrees(t, c.ID)
	require.Equal(t, marker+" woken", r.Name)
}

// parkedByRefusal is a customer with an update that the provider refuses as often as it is made.
func parkedByRefusal(t *testing.T, tag string) (c customer, fault string) {
	t.Helper()
	c = calm.rests(t, calm.create(t, person(tag)).ID)
	fault = calm.stripe.fault(t, object{
		"kind": "bad_request", "op": "update", "contains": c.stripe().RemoteID, "count": -1,
		"type": "invalid_request_error", "code": "email_invalid", "param": "email", "message": "Invalid email address",
	})
	calm.edit(t, c.ID, object{"email": "refused." + c.Email})
	return calm.reaches(t, c.ID, "parked"), fault
}

func TestRetryOfWhatIsParked(t *testing.T) {
	t.Parallel()
	c, fault := parkedByRefusal(t, "retry-parked")
	refused := calm.stripe.hits(t, fault)
	calm.wished(t, c.ID, "retry")
	eventually(t, func(ct *assert.CollectT) { require.Greater(ct, calm.stripe.hits(ct, fault), refused) }, "another attempt")
	calm.reaches(t, c.ID, "parked")
	calm.stripe.unfault(t, fault)
	eventually(t, func(ct *assert.CollectT) { // the one before may not have begun to wait
		calm.wish(ct, c.ID, "retry")
		require.Equal(ct, "synced", calm.customer(ct, c.ID).stripe().State)
	}, "the retry")
	_, r := calm.agrees(t, c.ID)
	require.Equal(t, c.Email, r.Email)
}

func TestSkipGivesUpUntilTheNextChange(t *testing.T) {
	t.Parallel()
	c, fault := parkedByRefusal(t, "skip")
	eventually(t, func(ct *assert.CollectT) { // asked before the wait has begun, it is not heard
		a := calm.wish(ct, c.ID, "skip")
		require.Equal(ct, http.StatusConflict, a.status, string(a.body))
	}, "the end of the workflow")
	calm.wish(t, c.ID, "skip").problem(t, http.StatusConflict, "nothing_waits")
	require.Equal(t, "parked", calm.customer(t, c.ID).stripe().State)
	require.NotNil(t, calm.customer(t, c.ID).stripe().LastError, "why stays visible")
	require.Contains(t, ids(calm.list(t, "state=parked&limit=100")), c.ID)

	calm.stripe.unfault(t, fault)
	calm.edit(t, c.ID, object{"phone": nil})
	_, r := calm.agrees(t, c.ID)
	require.Equal(t, c.Email, r.Email)
	calm.wish(t, c.ID, "skip").problem(t, http.StatusConflict, "nothing_waits")
}

func TestSyncAndRetryOfWhatIsInOrderChangeNothing(t *testing.T) {
	t.Parallel()
	c, r := calm.agrees(t, calm.create(t, person("sync-idle")).ID)
	rows, calls := calm.journal(t, c.ID), len(calm.stripe.calls(t, c.ID, r.ID))
	for _, action := range []string{"sync", "retry", "sync"} {
		calm.wished(t, c.ID, action)
		after := calm.rests(t, c.ID)
		info := after.stripe()
		require.False(t, info.SyncedAt.Before(*c.stripe().SyncedAt), "when both sides were last seen to agree")
		info.SyncedAt = c.stripe().SyncedAt
		after.ProviderInfo["stripe"] = info
		require.Equal(t, c, after)
	}
	require.Equal(t, rows, calm.journal(t, c.ID))
	require.Len(t, calm.stripe.calls(t, c.ID, r.ID), calls+2, "each sync is one look, and nothing else")
	path := "/v1/customers/" + c.ID + "/sync"
	refused := http.StatusUnprocessableEntity
	require.Equal(t, []string{"action invalid"}, calm.call(t, http.MethodPost, path, object{"action": "dance"}).problem(t, refused, "invalid_request"))
	calm.call(t, http.MethodPost, path, object{"action": "sync", "provider": "nobody"}).problem(t, refused, "invalid_request")
	require.Equal(t, []string{"winner.name not_on_hold"},
		calm.call(t, http.MethodPost, path, object{"action": "resolve", "winner": object{"name": "platform"}}).problem(t, refused, "invalid_request"))
	calm.wish(t, "cust_01ARZ3NDEKTSV4RRFFQ69G5FAV", "sync").problem(t, http.StatusNotFound, "customer_not_found")
}

func TestJournalTellsTheStory(t *testing.T) {
	t.Parallel()
	c := calm.rests(t, calm.create(t, person("journal")).ID)
	remoteID := c.stripe().RemoteID
	calm.edit(t, c.ID, object{"name": marker + " from here"})
	calm.agrees(t, c.ID)
	calm.stripe.edit(t, remoteID, object{"phone": "+1 555 0123"})
	calm.agrees(t, c.ID)
	ledger := calm.ledger(t, remoteID)
	calm.archive(t, c.ID, "")
	calm.endedHere(t, c.ID)

	rows := calm.chapters(t, c.ID, 100)
	require.Equal(t, rows, calm.chapters(t, c.ID, 2), "page by page")
	var told []string
	for i, row := range rows {
		told = append(told, row.Direction+" "+row.Action+" "+row.Cause)
		require.NotEmpty(t, row.WorkflowID)
		require.NotEmpty(t, row.RunID)
		if i > 0 {
			require.Less(t, rows[i-1].ID, row.ID)
			require.False(t, row.At.Before(rows[i-1].At))
		}
	}
	require.Equal(t, story(calm.journal(t, c.ID)), told)
	require.Equal(t, "outbound create api", told[0])
	require.Contains(t, told, "outbound archive api")
	require.Contains(t, []string{"outbound delete api", "outbound delete webhook"}, told[len(told)-1], "its event may overtake the answer")
	var webhooks int
	for _, row := range rows {
		if row.Direction != "inbound" { // what we did there ourselves may be told by its event, too
			continue
		}
		require.Equal(t, "webhook", row.Cause)
		webhooks++
		require.Equal(t, "inbound stripe "+remoteID, row.Direction+" "+row.Provider+" "+row.RemoteID)
		require.Equal(t, ledger[len(ledger)-1].EventID, row.CauseID)
		require.Equal(t, "inbound/stripe/"+remoteID, row.WorkflowID)
		require.Len(t, row.Changes, 1)
		require.Equal(t, "phone "+c.Phone+" +1 555 0123", row.Changes[0].Field+" "+row.Changes[0].Before+" "+row.Changes[0].After)
	}
	require.Equal(t, 1, webhooks, "%v", told)
	calm.call(t, http.MethodGet, "/v1/customers/cust_01ARZ3NDEKTSV4RRFFQ69G5FAV/journal", nil).problem(t, http.StatusNotFound, "customer_not_found")
}

func TestLedgerIsReadAndReplayedHarmlessly(t *testing.T) {
	t.Parallel()
	r := calm.stripe.create(t, remotePerson("ledger"))
	c := calm.rests(t, calm.imported(t, r.ID).ID)
	for i := range 3 {
		calm.stripe.edit(t, r.ID, object{"name": fmt.Sprint(marker, " ledger ", i)})
		calm.agrees(t, c.ID)
	}
	calm.edit(t, c.ID, object{"phone": "+1 555 0188"})
	calm.agrees(t, c.ID)
	rows := calm.news(t, "object_id="+r.ID)
	require.Len(t, rows, 5)
	require.Equal(t, "customer.created", rows[4].Type, "the last received first")
	require.Equal(t, "echo own_write", rows[0].State+" "+rows[0].Reason)
	for _, row := range rows {
		require.Empty(t, row.Payload)
		whole := calm.newsByID(t, row.ID)
		require.Equal(t, row.EventID, whole.Payload["id"])
		require.Equal(t, []news{row}, calm.news(t, "event_id="+row.EventID))
	}
	require.Len(t, calm.news(t, "object_id="+r.ID+"&type=customer.updated"), 4)
	require.Len(t, calm.news(t, "object_id="+r.ID+"&state=applied"), 4)
	require.Empty(t, calm.news(t, "object_id="+r.ID+"&state=conflict"))

	before, journal := calm.rests(t, c.ID), calm.journal(t, c.ID)
	for _, row := range rows {
		replayed := calm.replay(t, row.ID)
		require.Contains(t, []string{"stale", "echo"}, replayed.State, "%s of %s", row.Type, row.State)
		require.Equal(t, row.Deliveries, replayed.Deliveries)
	}
	after := calm.rests(t, c.ID)
	require.Equal(t, before.Version, after.Version)
	require.Equal(t, before.fields(), after.fields())
	require.Equal(t, journal, calm.journal(t, c.ID))
	calm.agrees(t, c.ID)
	calm.call(t, http.MethodPost, "/v1/provider-events/pev_01ARZ3NDEKTSV4RRFFQ69G5FAV/replay", nil).problem(t, http.StatusNotFound, "event_not_found")

	// Not even the end of a customer is undone by its past.
	calm.archive(t, c.ID, "")
	gone := calm.endedHere(t, c.ID)
	for _, row := range rows {
		require.Equal(t, "ignored", calm.replay(t, row.ID).State)
	}
	require.Equal(t, gone, calm.rests(t, c.ID))
}

func TestReplayAfterTheCauseOfAConflictIsGone(t *testing.T) {
	t.Parallel()
	p := person("conflict")
	externalID := marker + "-" + p["email"].(string)
	p["external_id"] = externalID
	c := calm.rests(t, calm.create(t, p).ID)

	second := remotePerson("conflict-second")
	second["metadata"] = object{"external_id": externalID}
	r := calm.stripe.create(t, second)
	var stuck news
	eventually(t, func(ct *assert.CollectT) {
		found := calm.news(ct, "state=conflict&object_id="+r.ID)
		require.Len(ct, found, 1)
		stuck = found[0]
	}, "the conflict")
	require.Equal(t, "customer.created external_id_elsewhere", stuck.Type+" "+stuck.Reason)
	require.Equal(t, "conflict", calm.replay(t, stuck.ID).State, "nothing has changed yet")
	require.Empty(t, calm.list(t, "provider_entity_id="+r.ID))

	calm.edit(t, c.ID, object{"external_id": nil}) // the cause
	calm.agrees(t, c.ID)
	require.Equal(t, "applied", calm.replay(t, stuck.ID).State)
	other, _ := calm.agrees(t, calm.imported(t, r.ID).ID)
	require.Equal(t, externalID, other.ExternalID)
	require.Equal(t, second["name"], other.Name)
	require.Empty(t, calm.news(t, "state=conflict&object_id="+r.ID))
	require.Equal(t, c.stripe().RemoteID, calm.customer(t, c.ID).stripe().RemoteID)
	rows := calm.chapters(t, other.ID, 100)
	require.Equal(t, stuck.EventID, rows[0].CauseID)
}
