package e2e_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// get reads from any address of the stack, without a key.
func get(t tester, url string) (int, string) {
	t.Helper()
	res, err := httpClient.Get(url)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

func TestHealthNeedsNoKey(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/livez", "/readyz"} {
		a := calm.call(t, http.MethodGet, path, nil, "X-Api-Key", "")
		require.Equal(t, http.StatusOK, a.status)
		require.JSONEq(t, `{"status":"ok"}`, string(a.body))
		status, body := get(t, calm.at.Admin+path)
		require.Equal(t, http.StatusOK, status, body)
	}
}

func TestServedDocumentIsTheOneTheAnswersAreHeldAgainst(t *testing.T) {
	t.Parallel()
	a := calm.call(t, http.MethodGet, "/openapi.yaml", nil, "X-Api-Key", "")
	require.Equal(t, http.StatusOK, a.status)
	file, err := os.ReadFile("../api/openapi.yaml")
	require.NoError(t, err)
	require.Equal(t, string(file), string(a.body))
}

func TestMetricsTellBothDirections(t *testing.T) {
	t.Parallel()
	calm.agrees(t, calm.create(t, person("metrics-out")).ID)
	calm.agrees(t, calm.imported(t, calm.stripe.create(t, remotePerson("metrics-in")).ID).ID)
	status, text := get(t, calm.at.Admin+"/metrics")
	require.Equal(t, http.StatusOK, status)
	for _, series := range []string{
		`tandem_api_requests_total{code="201",method="POST",route="/v1/customers"}`,
		`tandem_webhook_received_total{provider="stripe",result="accepted",type="customer.created"}`,
		`tandem_provider_requests_total{class="",operation="create",provider="stripe"}`,
		`tandem_remote_states_total{direction="inbound",state="applied"}`,
		`tandem_remote_states_total{direction="outbound",state="applied"}`,
		"temporal_", "go_goroutines", "process_resident_memory_bytes",
	} {
		require.Contains(t, text, "\n"+series)
	}
}

func TestMetricsAndProfilesAreNotPublic(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/cmdline"} {
		a := calm.call(t, http.MethodGet, path, nil)
		require.Equal(t, http.StatusNotFound, a.status, path)
		status, _ := get(t, calm.at.Admin+path)
		require.Equal(t, http.StatusOK, status, path)
	}
}

func TestEverythingListensOnThisMachineOnly(t *testing.T) {
	t.Parallel()
	for _, address := range []string{calm.at.API, calm.at.Admin, calm.at.Temporal, calm.at.TemporalUI, calm.at.Stripe, calm.at.StripeControl} {
		require.True(t, strings.HasPrefix(strings.TrimPrefix(address, "http://"), "127.0.0.1:"), address)
	}
	status, _ := get(t, calm.at.TemporalUI)
	require.Equal(t, http.StatusOK, status)
}
