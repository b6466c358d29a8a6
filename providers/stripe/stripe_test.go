package stripe

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := Config{APIKey: testKey, WebhookSecrets: []string{testSecret}}
	rows := map[string]struct {
		turn func(*Config)
		says string
	}{
		"no key":              {func(c *Config) { c.APIKey = " " }, "API key: missing"},
		"publishable key":     {func(c *Config) { c.APIKey = "pk_test_x" }, "publishable"},
		"webhook secret":      {func(c *Config) { c.APIKey = "whsec_x" }, "starts with sk_"},
		"key with a newline":  {func(c *Config) { c.APIKey = "sk_test_x\nsk_test_y" }, "starts with sk_"},
		"no secrets":          {func(c *Config) { c.WebhookSecrets = nil }, "at least one"},
		"empty secret":        {func(c *Config) { c.WebhookSecrets = []string{"whsec_x", " "} }, "number 2 is empty"},
		"base URL of a shell": {func(c *Config) { c.BaseURL = "localhost:12111" }, "base URL"},
		"URL with password":   {func(c *Config) { c.BaseURL = "https://u:p@example.com" }, "base URL"},
		"live key in clear":   {func(c *Config) { c.APIKey, c.BaseURL = "rk_live_x", "http://example.com" }, "plain http"},
		"name in capitals":    {func(c *Config) { c.Name = "Stripe" }, "name"},
		"negative timeout":    {func(c *Config) { c.Timeout = -1 }, "negative"},
	}
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			r.turn(&cfg)
			_, err := New(cfg)
			require.ErrorContains(t, err, r.says)
			require.NotContains(t, err.Error(), "test_x")
		})
	}
}

func TestNewReportsAllFaultsTogether(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Name: "!"})
	require.Equal(t, 3, len(strings.Split(err.Error(), "\n")), "%v", err)
}

func TestNewDefaults(t *testing.T) {
	t.Parallel()
	for key, live := range map[string]bool{
		"sk_test_x": false, "rk_test_x": false, "sk_dev_tandem": false, "sk_live_x": true, "rk_live_x": true, " sk_live_x\n": true,
	} {
		p, err := New(Config{APIKey: key, WebhookSecrets: []string{testSecret}})
		require.NoError(t, err)
		require.Equal(t, live, p.Livemode(), key)
		require.Equal(t, "stripe", p.Name())
		require.Equal(t, DefaultTimeout, p.timeout)
		require.Equal(t, DefaultTolerance, p.tolerance)
	}
}

func TestPrintingAProviderShowsNoSecret(t *testing.T) {
	t.Parallel()
	p, err := New(Config{APIKey: testKey, WebhookSecrets: []string{testSecret}})
	require.NoError(t, err)
	for _, s := range []string{fmt.Sprint(p), fmt.Sprintf("%+v", p)} {
		require.NotContains(t, s, testKey)
		require.NotContains(t, s, testSecret)
	}
}
