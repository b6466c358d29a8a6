package stripe

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

// What a signed body says becomes a workflow id, a log line, a row: what cannot be one of these is refused at once
// instead of failing later, for three days.
func TestVerifyWebhook_refuses_what_cannot_be_an_id(t *testing.T) {
	t.Parallel()
	p := setup(t, answering(200, ""))
	for name, body := range map[string]string{
		"event id with NUL":     `{"id":"evt_\u0000","type":"customer.created","created":1}`,
		"event id with a space": `{"id":"evt 1","type":"customer.created","created":1}`,
		"event id too long":     `{"id":"` + strings.Repeat("e", 256) + `","type":"customer.created","created":1}`,
		"object id too long":    `{"id":"evt_1","type":"customer.created","created":1,"data":{"object":{"id":"` + strings.Repeat("c", 5000) + `"}}}`,
		"object id with NUL":    `{"id":"evt_1","type":"customer.created","created":1,"data":{"object":{"id":"cus_\u0000"}}}`,
		"type with a newline":   `{"id":"evt_1","type":"customer\ncreated","created":1}`,
		"dated in the future":   `{"id":"evt_1","type":"customer.created","created":99999999999,"data":{"object":{"id":"cus_1"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			h.Set("Stripe-Signature", signed(body, delivered, testSecret))
			_, err := p.VerifyWebhook(h, []byte(body), delivered)
			require.Equal(t, tandem.CodeEventInvalid, tandem.CodeOf(err), err)
		})
	}
}

// A field of the wrong kind is unknown, not empty: it must not wipe what is known.
func TestParseEvent_reads_a_field_of_the_wrong_kind_as_absent(t *testing.T) {
	t.Parallel()
	p := setup(t, answering(200, ""))
	e, err := p.ParseEvent([]byte(`{"id":"evt_1","type":"customer.updated","created":1,"data":{"object":{"id":"cus_1","name":7,"email":null,"phone":["x"],"address":"x"}}}`))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"name", "phone", "address", "metadata"}, e.State.Absent)
}

func TestParseEvent_replaces_what_the_database_cannot_hold(t *testing.T) {
	t.Parallel()
	p := setup(t, answering(200, ""))
	e, err := p.ParseEvent([]byte(`{"id":"evt_1","type":"customer.updated","created":1,"data":{"object":{"id":"cus_1","name":"a\u0000b","address":{"city":"c\u0000"},"metadata":{"k\u0000":"v\u0000"}}}}`))
	require.NoError(t, err)
	require.Equal(t, "a\uFFFDb", e.State.Fields.Name)
	require.Equal(t, "c\uFFFD", e.State.Fields.Address.City)
	require.Equal(t, map[string]string{"k\uFFFD": "v\uFFFD"}, e.State.Fields.Metadata)
}
