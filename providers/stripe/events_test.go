package stripe

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func TestEventsQuery(t *testing.T) {
	t.Parallel()
	p, next := listening(t)
	const types = "&types[0]=customer.created&types[1]=customer.updated&types[2]=customer.deleted"
	for want, q := range map[string]tandem.EventsQuery{
		"limit=100": {},
		"limit=2&starting_after=evt_9&created[gte]=10": {Limit: 2, Cursor: "evt_9", From: time.Unix(10, 5e8)},
	} {
		_, err := p.Events(t.Context(), q)
		require.NoError(t, err)
		r := next()
		require.Equal(t, "GET /v1/events", r.method+" "+r.path)
		got, err := url.ParseQuery(r.query)
		require.NoError(t, err)
		wanted, err := url.ParseQuery(want + types)
		require.NoError(t, err)
		require.Equal(t, wanted, got)
	}
}

const event1 = `{"id":"evt_1","object":"event","type":"customer.updated", "created":100,
	"data":{"object":{"id":"cus_1","object":"customer","name":"Ada \u00e9"}}}`

func TestEventsAreReadOneByOne(t *testing.T) {
	t.Parallel()
	odd := `{"id":"evt_2","type":"customer.updated","created":90,"livemode":true,"api_version":"v","data":{"object":{"id":"cus 1"}}}`
	nameless := `{"id":"evt_3","type":"customer\nupdated","created":80,"data":[]}`
	p := setup(t, answering(200, `{"object":"list","data":[`+event1+`, `+odd+`,`+nameless+`],"has_more":true}`,
		"Date", "Mon, 23 Nov 2026 18:30:00 GMT"))
	page, err := p.Events(t.Context(), tandem.EventsQuery{})
	require.NoError(t, err)
	require.Equal(t, "evt_3", page.Next)
	require.Equal(t, time.Date(2026, 11, 23, 18, 30, 0, 0, time.UTC), page.SeenAt)
	want, err := p.ParseEvent([]byte(event1))
	require.NoError(t, err)
	require.Equal(t, []tandem.Event{
		want,
		{ID: "evt_2", Type: "customer.updated", Created: time.Unix(90, 0).UTC(), Livemode: true, APIVersion: "v", Payload: []byte(odd)},
		{ID: "evt_3", Created: time.Unix(80, 0).UTC(), Payload: []byte(nameless)},
	}, page.Items, "what cannot be read hides nothing and gets no state")
	require.Equal(t, event1, string(page.Items[0].Payload), "byte for byte")
}

func TestPagesOfEventsThatAreNone(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"an event without id": `{"object":"list","data":[` + event1 + `,{"type":"customer.created"}]}`,
		"no data":             `{"object":"list"}`,
		"odd data":            `{"object":"list","data":{}}`,
		"odd has_more":        `{"object":"list","data":[],"has_more":"yes"}`,
		"no JSON":             `{"object":"list","data":[}`,
		"a page":              `<html>`,
	} {
		got, err := setup(t, answering(200, body)).Events(t.Context(), tandem.EventsQuery{})
		require.Equal(t, tandem.Transient, tandem.ClassOf(err), name)
		require.Equal(t, CodeUnreadable, tandem.CodeOf(err), name)
		require.Zero(t, got, name)
	}
}

// A page is read in the transport, before stripe-go sees the answer: what goes wrong there must not look like a page.
func TestAPageThatBreaksOff(t *testing.T) {
	t.Parallel()
	whole := `{"object":"list","data":[` + strings.Repeat(customer1+",", 50) + customer1 + `],"has_more":false}`
	for name, h := range map[string]http.HandlerFunc{
		"in the middle": answering(200, whole[:2000], "Content-Length", "9000"),
		"too large":     answering(200, `{"data":["`+strings.Repeat("a", maxPage+1)+`"]}`),
	} {
		p := setup(t, h)
		list, err := p.List(t.Context(), tandem.ListQuery{})
		require.Equal(t, tandem.Transient, tandem.ClassOf(err), "%s: %v", name, err)
		require.Empty(t, list.Items, name)
		_, err = p.Events(t.Context(), tandem.EventsQuery{})
		require.Equal(t, tandem.Transient, tandem.ClassOf(err), "%s: %v", name, err)
	}
	page, err := setup(t, answering(200, whole)).List(t.Context(), tandem.ListQuery{})
	require.NoError(t, err)
	require.Len(t, page.Items, 51)
}
