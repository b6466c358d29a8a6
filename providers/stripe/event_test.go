package stripe

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func TestParseEvent(t *testing.T) {
	t.Parallel()
	none := map[string]string{}
	at := time.Unix(1_764_000_000, 0).UTC()
	everything := `"object":{"id":"cus_1","object":"customer","created":100,"livemode":true,
		"name":"Ada","email":null,"phone":null,"address":null,"metadata":{}}`
	state := func(turn func(*tandem.RemoteState)) *tandem.RemoteState {
		s := &tandem.RemoteState{
			Provider: "stripe", RemoteID: "cus_1", Source: tandem.FromEvent, SeenFrom: at, SeenTo: at,
			Created: time.Unix(100, 0).UTC(), EventID: "evt_1", EventType: "customer.updated",
			Fields: tandem.Fields{Name: "Ada", Metadata: none, Reserved: none},
		}
		turn(s)
		return s
	}
	rows := map[string]struct {
		body string // without id and created
		want tandem.Event
	}{
		"updated, by our key": {
			`"type":"customer.updated","livemode":false,"api_version":"2023-10-16","request":{"id":"req_1","idempotency_key":"k"},"data":{` + everything + `}`,
			tandem.Event{Type: "customer.updated", ObjectID: "cus_1", APIVersion: "2023-10-16", Key: "k",
				State: state(func(s *tandem.RemoteState) { s.Key, s.RequestID = "k", "req_1" })}},
		"live, of a connected account, by Stripe itself": {
			`"type":"customer.updated","livemode":true,"account":"acct_9","api_version":null,"request":null,"data":{` + everything + `}`,
			tandem.Event{Type: "customer.updated", ObjectID: "cus_1", Livemode: true,
				State: state(func(s *tandem.RemoteState) { s.Livemode, s.Account = true, "acct_9" })}},
		"of 2016: request is an id": {
			`"type":"customer.updated","livemode":false,"request":"req_old","data":{` + everything + `}`,
			tandem.Event{Type: "customer.updated", ObjectID: "cus_1",
				State: state(func(s *tandem.RemoteState) { s.RequestID = "req_old" })}},
		"deleted, with the last customer": {
			`"type":"customer.deleted","livemode":false,"data":{` + everything + `}`,
			tandem.Event{Type: "customer.deleted", ObjectID: "cus_1",
				State: state(func(s *tandem.RemoteState) { s.Deleted, s.EventType = true, "customer.deleted" })}},
		"deleted, with a stub": {
			`"type":"customer.deleted","livemode":false,"data":{"object":{"id":"cus_1","object":"customer","deleted":true}}`,
			tandem.Event{Type: "customer.deleted", ObjectID: "cus_1", State: state(func(s *tandem.RemoteState) {
				s.Deleted, s.EventType, s.Created = true, "customer.deleted", time.Time{}
				s.Fields, s.Absent = tandem.Fields{}, []string{"name", "email", "phone", "address", "metadata"}
			})}},
		"the type decides on deleted": {
			`"type":"customer.updated","livemode":false,"data":{"object":{"id":"cus_1","deleted":true}}`,
			tandem.Event{Type: "customer.updated", ObjectID: "cus_1", State: state(func(s *tandem.RemoteState) {
				s.Created = time.Time{}
				s.Fields, s.Absent = tandem.Fields{}, []string{"name", "email", "phone", "address", "metadata"}
			})}},
		"a customer without id": {`"type":"customer.updated","data":{"object":{"object":"customer"}}`, tandem.Event{Type: "customer.updated"}},
		"a customer that is something else": {`"type":"customer.updated","data":{"object":{"id":"x_1","object":"account"}}`,
			tandem.Event{Type: "customer.updated", ObjectID: "x_1"}},
		"a subscription": {`"type":"customer.subscription.created","data":{"object":{"id":"sub_1","object":"subscription","customer":"cus_1"}}`,
			tandem.Event{Type: "customer.subscription.created", ObjectID: "sub_1"}},
		"a source":      {`"type":"customer.source.created","data":{"object":{"id":"card_1","object":"card"}}`, tandem.Event{Type: "customer.source.created", ObjectID: "card_1"}},
		"no data":       {`"type":"customer.updated"`, tandem.Event{Type: "customer.updated"}},
		"null data":     {`"type":"customer.updated","data":null`, tandem.Event{Type: "customer.updated"}},
		"data is odd":   {`"type":"customer.updated","data":[1]`, tandem.Event{Type: "customer.updated"}},
		"object is odd": {`"type":"customer.updated","data":{"object":"cus_1"}`, tandem.Event{Type: "customer.updated"}},
		"no type":       {`"data":{` + everything + `}`, tandem.Event{ObjectID: "cus_1"}},
		"thin": {`"object":"v2.core.event","type":"v2.core.account.updated","related_object":{"id":"acct_1","type":"v2.core.account"}`,
			tandem.Event{Type: "v2.core.account.updated", ObjectID: "acct_1"}},
	}
	p := setup(t, answering(200, ""))
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := []byte(`{"id":"evt_1","object":"event","created":1764000000,` + r.body + `}`)
			got, err := p.ParseEvent(body)
			require.NoError(t, err)
			r.want.ID, r.want.Created, r.want.Payload = "evt_1", at, body
			require.Equal(t, r.want, got)
		})
	}
}

func TestParseEventTimes(t *testing.T) {
	t.Parallel()
	p := setup(t, answering(200, ""))
	for raw, want := range map[string]time.Time{
		`1764000000`:                 time.Unix(1764000000, 0).UTC(),
		`1764000000.9`:               time.Unix(1764000000, 0).UTC(),
		`"2026-11-23T18:30:00.000Z"`: time.Date(2026, 11, 23, 18, 30, 0, 0, time.UTC),
		`"yesterday"`:                {},
		`null`:                       {},
		`-5`:                         {},
		`1e30`:                       {}, // no database and no JSON could hold it
		`{}`:                         {},
	} {
		e, err := p.ParseEvent([]byte(`{"id":"evt_1","created":` + raw + `}`))
		require.NoError(t, err)
		require.Equal(t, want, e.Created, raw)
	}
}

// FuzzParseEvent: whatever is signed either names its id or is refused, and what is read can be stored.
func FuzzParseEvent(f *testing.F) {
	for _, s := range []string{
		`{"id":"evt_1","type":"customer.created","created":1,"data":{"object":{"id":"cus_1","object":"customer","metadata":{"a":"b"}}}}`,
		`{"id":"evt_1","type":"customer.deleted","created":"2026-01-02T03:04:05Z","request":"req_1","data":{"object":{"id":"cus_1"}}}`,
		`{"id":"evt_1","created":-1,"data":[],"request":{}}`, `{}`, `null`, `{"id":null}`, "{\"id\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
	p, err := New(Config{APIKey: testKey, WebhookSecrets: []string{testSecret}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := p.ParseEvent(body)
		if err != nil {
			require.Equal(t, tandem.CodeEventInvalid, tandem.CodeOf(err))
			return
		}
		require.NotEmpty(t, e.ID)
		_, err = json.Marshal(e)
		require.NoError(t, err)
		if e.State != nil {
			require.Equal(t, e.ObjectID, e.State.RemoteID)
			require.NotEmpty(t, e.State.RemoteID)
			require.Equal(t, e.Type == typeDeleted, e.State.Deleted)
			require.Equal(t, e.Created, e.State.SeenTo)
		}
	})
}
