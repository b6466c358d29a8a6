package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// environment sets exactly these variables of ours. Such tests cannot run beside each other.
func environment(t *testing.T, variables map[string]string) {
	t.Helper()
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		for _, prefix := range []string{"TANDEM_", "STRIPE_", "TEMPORAL_", "DATABASE_URL"} {
			if strings.HasPrefix(name, prefix) {
				t.Setenv(name, value) // restored at the end
				require.NoError(t, os.Unsetenv(name))
			}
		}
	}
	for name, value := range variables {
		t.Setenv(name, value)
	}
}

func refusal(t *testing.T, variables map[string]string) string {
	t.Helper()
	environment(t, variables)
	cfg, err := LoadConfig()
	err = errors.Join(err, cfg.Validate(NeedsAll))
	require.Error(t, err)
	return err.Error()
}

func TestEveryFaultIsNamedByItsVariableOnce(t *testing.T) {
	text := refusal(t, map[string]string{
		"TANDEM_DATABASE_MAX_CONNS": "many", "TANDEM_DRAIN_EVERY": "often", "TANDEM_LOG_LEVEL": "loud",
		"STRIPE_REQUESTS_PER_SECOND": "fast", "TANDEM_CHANGES_AT_ONCE": "0", "STRIPE_WEBHOOK_SECRETS": "whsec_short",
	})
	for variable, words := range map[string]string{
		"TANDEM_DATABASE_MAX_CONNS": "a whole number", "TANDEM_DRAIN_EVERY": "a duration", "TANDEM_LOG_LEVEL": "DEBUG",
		"STRIPE_REQUESTS_PER_SECOND": "a number", "TANDEM_CHANGES_AT_ONCE": "at least 1", "STRIPE_API_KEY": "required",
		"STRIPE_WEBHOOK_SECRETS": "at least 6 characters after it", "TANDEM_ENVIRONMENT": "names this installation",
		"TANDEM_API_KEYS": "required", "DATABASE_URL": "postgres://",
	} {
		require.Equal(t, 1, strings.Count("\n"+text, "\n"+variable+": "), text)
		line := text[strings.Index("\n"+text, "\n"+variable+": "):]
		line, _, _ = strings.Cut(line, "\n")
		require.Contains(t, line, words)
	}
	require.NotContains(t, text, "MaxConns", "that is nobody's word outside of the code")
	require.NotContains(t, text, "whsec_short", "a secret is not printed")
}

func TestAMisspeltNameIsShownBesideWhatIsMissing(t *testing.T) {
	text := refusal(t, map[string]string{"TANDEM_ENVIRONMEN": "production", "STRIPE_API_KEYS": "sk_test_x", "STRIPE_DEVICE": "x"})
	require.Contains(t, text, "TANDEM_ENVIRONMEN: is not known, and was ignored; did you mean TANDEM_ENVIRONMENT?")
	require.Contains(t, text, "STRIPE_API_KEYS: is not known, and was ignored; did you mean STRIPE_API_KEY?")
	require.Contains(t, text, "STRIPE_DEVICE: is not known, and was ignored\n")
	require.NotContains(t, text, "sk_test_x")
}

func TestOnlyMisspeltNamesAreUnknown(t *testing.T) {
	t.Parallel()
	for _, known := range []string{
		"TANDEM_DELETE_BRAKE_COUNT=5", "STRIPE_READS_PER_DAY=1", "TANDEM_DATA_DIR=/x", "STRIPE_TEST_API_KEY=sk_test_x", "PATH=/bin",
		"TANDEM_SERVICE_HOST=10.0.0.1", "TANDEM_SERVICE_PORT=80", "TANDEM_SERVICE_PORT_HTTP=80", "TANDEM_PORT=tcp://10.0.0.1:80",
		"TANDEM_PORT_80_TCP_ADDR=10.0.0.1", "TANDEMS=2",
	} {
		require.Empty(t, unknownVariables([]string{known}))
	}
	require.Equal(t, []unknownVariable{{"TANDEM_DELETE_BREAK_COUNT", "TANDEM_DELETE_BRAKE_COUNT"}, {"TANDEM_X", ""}},
		unknownVariables([]string{"TANDEM_X=1", "TANDEM_DELETE_BREAK_COUNT=5"}))
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"abc", "", 3}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"brake", "break", 2}} {
		require.Equal(t, tt.want, distance(tt.a, tt.b), "%s %s", tt.a, tt.b)
		require.Equal(t, tt.want, distance(tt.b, tt.a), "%s %s", tt.b, tt.a)
	}
}

func TestTheManualNamesEveryVariable(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile(filepath.Join("..", "docs", "configuration.md"))
	require.NoError(t, err)
	for _, name := range knownVariables() {
		require.Contains(t, string(manual), "| `"+name+"` |")
	}
}
