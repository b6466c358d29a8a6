package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
)

// secrets must not be written anywhere either.
var secrets = []string{apiKey, webhookSecret, stripeKey, "sk_wrong_" + marker}

// privateInLog looks for what any test has planted, and for secrets, in everything that the stack has logged.
func (s *stack) privateInLog() error {
	for _, name := range []string{"tandem.log", "temporal.log"} {
		text, err := os.ReadFile(filepath.Join(s.dataDir, name))
		if err != nil {
			return err
		}
		if err := private(string(text), append(secrets, marker)...); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// private reports the lines that hold one of the words, in any case and escaped for a URL or not.
func private(text string, words ...string) error {
	for line := range strings.Lines(text) {
		for _, word := range words {
			lower := strings.ToLower(line)
			if word = strings.ToLower(word); strings.Contains(lower, word) || strings.Contains(lower, url.QueryEscape(word)) {
				return fmt.Errorf("%q stands in %q", word, line)
			}
		}
	}
	return nil
}

func TestNoPersonalDataWhereOperatorsLook(t *testing.T) {
	t.Parallel()
	unique := fmt.Sprint(time.Now().UnixNano())
	canary := func(field string) string { return field + "canary" + unique }
	email := canary("mail") + "@example.org"
	ours := object{
		"name": canary("name"), "email": email, "phone": "+1555" + unique[len(unique)-8:], "external_id": canary("external"),
		"address_line1": canary("line"), "address_city": canary("city"), "address_country": "GB", "metadata": object{canary("key"): canary("value")},
	}
	words := []string{"canary" + unique, ours["phone"].(string)}

	// Out and in, each there and back.
	c := calm.rests(t, calm.create(t, ours, "Idempotency-Key", canary("idem")).ID)
	r := calm.stripe.create(t, object{
		"name": canary("rname"), "email": canary("rmail") + "@example.org", "metadata": object{canary("rkey"): canary("rvalue"), "external_id": canary("rexternal")},
		"address": object{"line1": canary("rline"), "city": canary("rcity")},
	})
	in := calm.rests(t, calm.imported(t, r.ID).ID)
	calm.stripe.edit(t, c.stripe().RemoteID, object{"name": canary("edited")})
	calm.edit(t, in.ID, object{"name": canary("changed")})
	calm.agrees(t, c.ID)
	calm.agrees(t, in.ID)

	// Refused there, in words that quote the address: parked, shown to whoever may see it, and nowhere else.
	calm.stripe.fault(t, object{
		"kind": "bad_request", "op": "update", "contains": c.stripe().RemoteID, "type": "invalid_request_error",
		"code": "email_invalid", "param": "email", "message": "Invalid email address: " + email,
	})
	calm.edit(t, c.ID, object{"phone": nil})
	parked := calm.reaches(t, c.ID, "parked")
	require.Contains(t, parked.stripe().LastError.Message, email)
	stuck := calm.stripe.fault(t, object{
		"kind": "custom", "status": 503, "op": "update", "contains": in.stripe().RemoteID, "count": -1, "message": "try later, " + email,
	})
	calm.edit(t, in.ID, object{"phone": "+1 555 1234"})
	calm.reaches(t, in.ID, "retrying")
	outbound := "outbound/" + in.ID
	eventually(t, func(ct *assert.CollectT) {
		d, err := calm.temporal.DescribeWorkflowExecution(t.Context(), outbound, "")
		require.NoError(ct, err)
		require.Len(ct, d.GetPendingActivities(), 1)
		require.NoError(ct, private(d.GetPendingActivities()[0].GetLastFailure().GetMessage(), words...))
	}, "the pending call")

	// Refused here, in all the places where a caller can leave personal data.
	plantInRequests(t, canary, email)
	calm.stripe.unfault(t, stuck)
	calm.agrees(t, in.ID)

	log, err := calm.readLog()
	require.NoError(t, err)
	require.NoError(t, private(string(log), append(secrets, words...)...))
	_, metrics := get(t, calm.at.Admin+"/metrics")
	require.NoError(t, private(metrics, append(secrets, words...)...))
	requirePrivateVisibility(t, words)
	for _, id := range []string{
		outbound, "outbound/" + c.ID, "inbound/stripe/" + r.ID, "inbound/stripe/" + c.stripe().RemoteID,
	} {
		requirePrivateHistory(t, id, words)
	}
}

func plantInRequests(t *testing.T, canary func(string) string, email string) {
	t.Helper()
	_, _, event := newEvent("customer.created")
	event = strings.Replace(event, marker, canary("event"), 1)
	for _, r := range []struct {
		method, path, body string
		headers            []string
	}{
		{http.MethodGet, "/v1/customers?email=" + url.QueryEscape(email), "", nil},
		{http.MethodGet, "/v1/customers?" + canary("parameter") + "=" + email, "", nil},
		{http.MethodGet, "/v1/customers/external/" + canary("external"), "", nil},
		{http.MethodGet, "/v1/customers/" + canary("id"), "", nil},
		{http.MethodGet, "/" + canary("path"), "", nil},
		{canary("METHOD"), "/v1/customers", "", nil},
		{http.MethodPost, "/v1/customers", `{"email":"` + email, nil},
		{http.MethodPost, "/v1/customers", `{"` + canary("field") + `":1}`, nil},
		{http.MethodPost, "/v1/customers", `{"email":"` + canary("noaddress") + `"}`, nil},
		{http.MethodPost, "/v1/customers", `{"external_id":"` + canary("external") + `"}`, nil},
		{http.MethodPost, "/v1/customers", `{}`, []string{"Content-Type", canary("type/")}},
		{http.MethodPost, "/v1/customers", `{}`, []string{"X-Api-Key", "sk_wrong_" + marker}},
		{http.MethodGet, "/livez", "", []string{"X-Request-Id", canary("no sane id ")}},
		{http.MethodPost, "/v1/webhooks/stripe", event, []string{"Stripe-Signature", "t=1,v1=00"}},
		{http.MethodPost, "/v1/webhooks/" + canary("provider"), event, nil},
		{http.MethodPost, "/v1/webhooks/stripe", `{"` + canary("nonsense"), []string{"Stripe-Signature", sign(`{"`+canary("nonsense"), webhookSecret, time.Now())}},
	} {
		var body any
		if r.body != "" {
			body = r.body
		}
		calm.call(t, r.method, r.path, body, r.headers...)
	}
	// A race that only the database decides: its message quotes the value.
	external := canary("raced")
	atOnce(t, 6, func(int) error {
		_, err := calm.try(t.Context(), http.MethodPost, "/v1/customers", object{"external_id": external})
		return err
	})
	raced := calm.call(t, http.MethodGet, "/v1/customers/external/"+external, nil).customer(t, http.StatusOK)
	calm.agrees(t, raced.ID)
}

// requirePrivateVisibility looks at every workflow there is: its id, memo and search attributes.
func requirePrivateVisibility(t *testing.T, words []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var token []byte
	seen := 0
	for {
		page, err := calm.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{NextPageToken: token})
		require.NoError(t, err)
		for _, w := range page.GetExecutions() {
			seen++
			require.NoError(t, private(w.GetExecution().GetWorkflowId(), append(words, marker)...))
			for _, fields := range []fmt.Stringer{w.GetMemo(), w.GetSearchAttributes()} {
				require.NoError(t, private(fields.String(), append(words, marker)...))
			}
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			break
		}
	}
	require.Positive(t, seen)
}

// requirePrivateHistory looks at what the Temporal UI shows of a history without anybody opening a payload: summaries,
// details and the messages of failures. Inbound carries references only, so there no payload may hold anything.
func requirePrivateHistory(t *testing.T, id string, words []string) {
	t.Helper()
	d := calm.describe(t, id)
	require.NotNil(t, d, id)
	about, err := d.GetStaticSummary()
	require.NoError(t, err)
	details, err := d.GetStaticDetails()
	require.NoError(t, err)
	require.NoError(t, private(about+details, words...), id)
	for _, e := range calm.history(t, id) {
		require.NoError(t, private(summary(t, e.GetUserMetadata().GetSummary())+summary(t, e.GetUserMetadata().GetDetails()), words...), id)
		require.NoError(t, private(failureMessage(e), words...), id)
		if strings.HasPrefix(id, "inbound/") && e.GetActivityTaskCompletedEventAttributes() == nil {
			require.NoError(t, private(e.String(), words...), id)
		}
	}
}

func failureMessage(e *history.HistoryEvent) string {
	var out strings.Builder
	for f := e.GetActivityTaskFailedEventAttributes().GetFailure(); f != nil; f = f.GetCause() {
		out.WriteString(f.GetMessage() + "\n" + f.GetStackTrace() + "\n")
	}
	for f := e.GetActivityTaskStartedEventAttributes().GetLastFailure(); f != nil; f = f.GetCause() {
		out.WriteString(f.GetMessage() + "\n")
	}
	for f := e.GetMarkerRecordedEventAttributes().GetFailure(); f != nil; f = f.GetCause() {
		out.WriteString(f.GetMessage() + "\n")
	}
	return out.String()
}
