package stripe

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/tandem-sync/tandem"
)

const oldSecret = "whsec_old"

var signedAt = time.Unix(1_764_000_000, 0)

// signed makes a header as Stripe does, one v1 for each secret.
func signed(body string, at time.Time, secrets ...string) string {
	h := fmt.Sprintf("t=%d", at.Unix())
	for _, s := range secrets {
		h += fmt.Sprintf(",v1=%x", webhook.ComputeSignature(at, []byte(body), s))
	}
	return h
}

func TestVerifyWebhook(t *testing.T) {
	t.Parallel()
	const body = "{\n  \"id\": \"evt_1\",\n  \"type\": \"invoice.paid\"\n}"
	good := signed(body, signedAt, testSecret)
	_, mac, _ := strings.Cut(good, ",")
	rows := map[string]struct {
		header string
		body   string
		after  time.Duration
		says   string // "" is good
	}{
		"good":                     {good, body, time.Second, ""},
		"old secret":               {signed(body, signedAt, oldSecret), body, 0, ""},
		"both secrets":             {signed(body, signedAt, "whsec_next", oldSecret), body, 0, ""},
		"noise around":             {"v0=aa," + good + ",v2=zz,odd", body, 0, ""},
		"blanks":                   {strings.ReplaceAll(good, ",", ", "), body, 0, ""},
		"malformed second v1":      {good + ",v1=abc==", body, 0, ""},
		"at the tolerance":         {good, body, 300 * time.Second, ""},
		"beyond it":                {good, body, 301 * time.Second, "5m1s ago"},
		"a little ahead":           {good, body, -60 * time.Second, ""},
		"far ahead":                {good, body, -61 * time.Second, "future"},
		"forged":                   {signed(body, signedAt, "whsec_forged"), body, 0, "no configured secret"},
		"signed with an empty key": {signed(body, signedAt, ""), body, 0, "no configured secret"},
		"body changed":             {good, body + " ", 0, "no configured secret"},
		"time changed":             {"t=1764000001," + mac, body, 0, "no configured secret"},
		"two times":                {"t=1764000001," + good, body, 0, "one time (t=), not 2"},
		"missing":                  {"", body, 0, "there is no Stripe-Signature header"},
		"no time":                  {mac, body, 0, "one time (t=), not 0"},
		"no v1":                    {"t=1764000000,v0=" + mac[3:], body, 0, "has no v1 signature"},
		"empty v1":                 {"t=1764000000,v1=", body, 0, "not hexadecimal"},
		"v1 is text":               {"t=1,v1=abc", body, 0, "not hexadecimal"},
		"time is text":             {"t=now," + mac, body, 0, "no number of seconds"},
		"time is negative":         {"t=-1," + mac, body, 0, "no number of seconds"},
	}
	p := setup(t, answering(200, ""), func(c *Config) { c.WebhookSecrets = []string{testSecret, oldSecret} })
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			h.Set("Stripe-Signature", r.header)
			e, err := p.VerifyWebhook(h, []byte(r.body), signedAt.Add(r.after))
			if r.says == "" {
				require.NoError(t, err)
				require.Equal(t, "evt_1", e.ID)
				require.Equal(t, body, string(e.Payload), "as it was signed, to the byte")
				return
			}
			require.Equal(t, tandem.CodeSignatureInvalid, tandem.CodeOf(err))
			require.Equal(t, tandem.Invalid, tandem.ClassOf(err))
			require.ErrorContains(t, err, r.says)
			require.NotContains(t, err.Error(), mac[10:])
		})
	}
}

func TestVerifyWebhookOfNoEvent(t *testing.T) {
	t.Parallel()
	p := setup(t, answering(200, ""))
	for _, body := range []string{"", "null", "[]", "{}", `"evt_1"`, `{"id":7}`, `{"id":""}`, `{"id":"evt_1"`} {
		h := http.Header{}
		h.Set("Stripe-Signature", signed(body, signedAt, testSecret))
		_, err := p.VerifyWebhook(h, []byte(body), signedAt)
		require.Equal(t, tandem.CodeEventInvalid, tandem.CodeOf(err), body)
		require.Equal(t, tandem.Invalid, tandem.ClassOf(err))
	}
}

// FuzzSignature: nothing but a signature made with our secret passes, and nothing panics.
func FuzzSignature(f *testing.F) {
	const body = `{"id":"evt_1"}`
	good := signed(body, signedAt, testSecret)
	for _, h := range []string{good, "", "t=1,v1=", "t=,v1=00", "v1=00,t=9999999999999999999", ",,==", good + "," + good} {
		f.Add(h)
	}
	p, err := New(Config{APIKey: testKey, WebhookSecrets: []string{testSecret}})
	require.NoError(f, err)
	_, mac, _ := strings.Cut(good, "v1=")
	f.Fuzz(func(t *testing.T, header string) {
		h := http.Header{"Stripe-Signature": {header}}
		_, err := p.VerifyWebhook(h, []byte(body), signedAt)
		if err == nil {
			require.Contains(t, strings.ToLower(header), mac)
			return
		}
		require.Equal(t, tandem.CodeSignatureInvalid, tandem.CodeOf(err))
	})
}
