package cli_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/cli"
)

func page(items ...string) string {
	return `{"items":[` + strings.Join(items, ",") + `],"pagination":{"limit":20}}`
}

const mapped = `{"id":"eim_1","entity_id":"` + custA + `","entity_type":"customer","provider_type":"stripe","provider_entity_id":"cus_1","state":"parked",
	"last_error":{"class":"invalid","code":"email_invalid","message":"no\tsuch\u001b[2J e-mail"},"metadata":{}}`

func TestTables(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args   []string
		asks   string
		answer string
		want   string
	}{
		"runs": {
			[]string{"runs", "ls", "--provider", "stripe", "--state", "done"}, "GET /v1/runs?limit=20&provider=stripe&state=done",
			page(at("done", `"customers":12`)),
			table(
				"ID                              PROVIDER  MODE    PLAN  STATE  STEP  CUSTOMERS  STARTED              ENDED",
				"run_01JD3Z8Q4V7T9N2M5K6P8R0S1F  stripe    import  -     done   list  12         2026-01-15 09:30:00  -",
			),
		},
		"no_runs": {
			[]string{"runs", "ls"}, "GET /v1/runs?limit=20", page(),
			table("ID  PROVIDER  MODE  PLAN  STATE  STEP  CUSTOMERS  STARTED  ENDED"),
		},
		"a_run": {
			[]string{"runs", "show", runA}, show, at("running", `"customers":12,"equal":7,"created":5`),
			table(
				"run                 "+runA, "provider            stripe", "mode                import", "state               running",
				"step                list", "workflow            reconcile/stripe/run_01JD0000000000000000000000", "started             2026-01-15 09:30:00",
				"customers a second  100", "customers           12", "equal               7", "created             5",
				"linked              0", "updated             0", "sent                0", "archived            0",
				"conflicts           0", "rejected            0", "unlinked            0", "review              0",
				"waiting             0", "pages               0", "requests            0",
			),
		},
		"findings": {
			[]string{"runs", "findings", runA, "--kind", "updated", "--limit", "5"}, "GET /v1/runs/" + runA + "/findings?kind=updated&limit=5",
			page(`{"id":"fnd_1","at":"2026-01-15T09:30:00Z","kind":"updated","done":true,"customer_id":"cust_1","provider_entity_id":"cus_1",
				"changes":[{"field":"name","before":"a","after":"b"},{"field":"phone","before":"","after":"1"}]}`),
			table(
				"AT                   KIND     DONE  CUSTOMER  REMOTE CUSTOMER  REASON  CHANGES",
				`2026-01-15 09:30:00  updated  yes   cust_1    cus_1            -       name: "a" → "b"; phone: "" → "1"`,
			),
		},
		"a_customer": {
			[]string{"customers", "show", "a/b ü", "--external"}, "GET /v1/customers/external/a%2Fb%20%C3%BC",
			`{"id":"cust_1","name":"Jenny","status":"active","version":3,"created_at":"2026-01-15T09:30:00Z","updated_at":"2026-01-15T09:31:00Z","metadata":{},
				"provider_info":{"stripe":{"state":"synced","provider_entity_id":"cus_1","synced_at":"2026-01-15T09:31:01Z","metadata":{}}}}`,
			table(
				"customer                cust_1", "name                    Jenny", "status                  active", "version                 3",
				"created                 2026-01-15 09:30:00", "updated                 2026-01-15 09:31:00", "stripe                  synced cus_1",
				"stripe last seen equal  2026-01-15 09:31:01",
			),
		},
		"a_journal": {
			[]string{"customers", "journal", "cust_1"}, "GET /v1/customers/cust_1/journal?limit=20",
			page(`{"id":"jrn_1","at":"2026-01-15T09:30:00Z","direction":"inbound","action":"update","cause":"webhook","cause_id":"evt_1","changes":[]}`),
			table(
				"AT                   DIRECTION  ACTION  PROVIDER  REMOTE CUSTOMER  CAUSE          CHANGES  DETAIL",
				"2026-01-15 09:30:00  inbound    update  -         -                webhook evt_1  -        -",
			),
		},
		"events": {
			[]string{"events", "ls", "--about", "cus_1", "--state", "conflict"}, "GET /v1/provider-events?limit=20&object_id=cus_1&state=conflict",
			page(`{"id":"pev_1","event_id":"evt_1","type":"customer.updated","object_id":"cus_1","received_at":"2026-01-15T09:30:00Z","state":"conflict","reason":"held"}`),
			table(
				"ID     EVENT  TYPE              ABOUT  RECEIVED             STATE     REASON",
				"pev_1  evt_1  customer.updated  cus_1  2026-01-15 09:30:00  conflict  held",
			),
		},
		"mappings_whose_text_moves_no_cursor": {
			[]string{"mappings", "ls", "--class", "invalid"}, "GET /v1/entity-integration-mappings?error_class=invalid&limit=20", page(mapped),
			table(
				"ID     CUSTOMER                         PROVIDER  REMOTE CUSTOMER  STATE   LAST ERROR",
				"eim_1  "+custA+"  stripe    cus_1            parked  invalid/email_invalid: no such\uFFFD[2J e-mail",
			),
		},
		"providers": {
			[]string{"providers"}, "GET /v1/providers",
			`{"items":[{"name":"stripe","catch_up":{"up_to":"2026-01-15T09:30:00Z","missed":2,"reconcile_needed":true}}]}`,
			table(
				"PROVIDER  READ UP TO           CHECKED  MISSED  GAP SINCE  RECONCILE NEEDED",
				"stripe    2026-01-15 09:30:00  -        2       -          yes",
			),
		},
		"a_word_to_a_run": {
			[]string{"runs", "pause", runA}, "POST /v1/runs/" + runA + `/control {"action":"pause"}`, at("running", ""),
			table("run             "+runA, "asked for       pause", "state just now  running"),
		},
		"a_retry": {
			[]string{"retry", custA, "--provider", "stripe"}, "POST /v1/customers/" + custA + `/sync {"action":"retry","provider":"stripe"}`,
			`{"workflow_id":"outbound/x","run_id":"r"}`, table("workflow  outbound/x", "run       r"),
		},
		"a_link": {
			[]string{"mappings", "link", custA, "cus_1", "--provider", "stripe", "--winner", "provider"},
			`POST /v1/entity-integration-mappings {"entity_id":"` + custA + `","provider_entity_id":"cus_1","provider_type":"stripe","winner":"provider"}`,
			mapped, table("mapping   eim_1", "customer  "+custA, "stripe    cus_1", "state     parked"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			words := strings.Fields(tc.asks)
			f := setup(t, map[string][]reply{words[0] + " " + words[1]: ok(tc.answer)})
			r := f.run(tc.args...)
			require.Equal(t, 0, r.code, r.errOut)
			assert.Equal(t, tc.want, r.out)
			assert.Equal(t, []string{tc.asks}, f.requests())
		})
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	// endless is a list of which every page has 100 items and a next one.
	items := make([]string, 100)
	for i := range items {
		items[i] = fmt.Sprintf(`{"id":"run_%d"}`, i)
	}
	endless := `{"items":[` + strings.Join(items, ",") + `],"pagination":{"limit":100,"next_cursor":"abc"}}`
	half := `{"items":[` + strings.Join(items[:50], ",") + `],"pagination":{"limit":50,"next_cursor":"def"}}`

	t.Run("end_at_the_limit_and_say_where_to_go_on", func(t *testing.T) {
		t.Parallel()
		f := setup(t, map[string][]reply{"GET " + runs: ok(endless, endless, half)})
		r := f.run("runs", "ls", "--limit", "250", "--cursor", "first")
		require.Equal(t, 0, r.code, r.errOut)
		assert.Equal(t, 251, strings.Count(r.out, "\n"))
		assert.Equal(t, "There are more: --cursor def\n", r.errOut)
		assert.Equal(t, []string{
			"GET /v1/runs?cursor=first&limit=100", "GET /v1/runs?cursor=abc&limit=100", "GET /v1/runs?cursor=abc&limit=50",
		}, f.requests())
	})

	t.Run("are_one_answer_for_machines", func(t *testing.T) {
		t.Parallel()
		f := setup(t, map[string][]reply{"GET " + runs: ok(endless, half)})
		r := f.run("runs", "ls", "--limit", "150", "-o", "json")
		assert.Equal(t, `{"items":[`+strings.Join(append(append([]string{}, items...), items[:50]...), ",")+`],"pagination":{"limit":150,"next_cursor":"def"}}`+"\n", r.out)
	})
}

func TestReport(t *testing.T) {
	t.Parallel()
	f := setup(t, map[string][]reply{"GET /v1/runs/" + runA + "/findings": {{200, "id,at\nfnd_1,x\n", "text/csv"}}})
	assert.Equal(t, result{"id,at\nfnd_1,x\n", "", 0}, f.run("runs", "findings", runA, "--csv", "--kind", "conflict"))
	assert.Equal(t, []string{"GET /v1/runs/" + runA + "/findings?format=csv&kind=conflict"}, f.requests())
}

func TestProvider(t *testing.T) {
	t.Parallel()
	t.Run("is_the_only_one", func(t *testing.T) {
		t.Parallel()
		f := setup(t, map[string][]reply{"GET /v1/providers": ok(`{"items":[{"name":"stripe"}]}`), "POST /v1/providers/stripe/catch-up": ok(`{"workflow_id":"w"}`)})
		assert.Equal(t, result{"workflow  w\n", "", 0}, f.run("catch-up"))
	})
	t.Run("has_to_be_named_where_there_are_two", func(t *testing.T) {
		t.Parallel()
		f := setup(t, map[string][]reply{"GET /v1/providers": ok(`{"items":[{"name":"stripe"},{"name":"second"}]}`)})
		assert.Equal(t, result{"", "there are 2 providers: name one with --provider", cli.ExitUsage}, f.run("catch-up"))
	})
}
