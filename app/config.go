package app

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"

	"github.com/tandem-sync/tandem"
)

// Config is everything that can be set, from the environment. Temporal's own variables (TEMPORAL_ADDRESS,
// TEMPORAL_NAMESPACE, TEMPORAL_TLS_*, TEMPORAL_API_KEY) are read by Temporal's library.
type Config struct {
	DatabaseURL Secret `env:"DATABASE_URL"`
	MaxConns    int    `env:"TANDEM_DATABASE_MAX_CONNS" envDefault:"20"`

	StripeAPIKey         Secret   `env:"STRIPE_API_KEY"`
	StripeWebhookSecrets []Secret `env:"STRIPE_WEBHOOK_SECRETS"`
	StripeAPIBase        string   `env:"STRIPE_API_BASE"`
	StripeRPS            float64  `env:"STRIPE_REQUESTS_PER_SECOND" envDefault:"20"`
	StripeReads          int      `env:"STRIPE_READS_PER_DAY" envDefault:"300"`

	HTTPAddr    string   `env:"TANDEM_HTTP_ADDR" envDefault:"127.0.0.1:8080"`
	AdminAddr   string   `env:"TANDEM_ADMIN_ADDR" envDefault:"127.0.0.1:9090"`
	APIKeys     []Secret `env:"TANDEM_API_KEYS"` // sha256:<hex> each
	Environment string   `env:"TANDEM_ENVIRONMENT"`

	ChangesAtOnce int `env:"TANDEM_CHANGES_AT_ONCE" envDefault:"64"`

	AcceptAccount string `env:"TANDEM_ACCEPT_ACCOUNT"`

	FieldOwners    string        `env:"TANDEM_FIELD_OWNERS"`
	FieldConflicts string        `env:"TANDEM_FIELD_CONFLICTS"`
	OnRemoteDelete string        `env:"TANDEM_ON_REMOTE_DELETE" envDefault:"archive"`
	OnArchive      string        `env:"TANDEM_ON_ARCHIVE" envDefault:"delete"`
	BrakeCount     int           `env:"TANDEM_DELETE_BRAKE_COUNT" envDefault:"100"`
	BrakeShare     float64       `env:"TANDEM_DELETE_BRAKE_SHARE" envDefault:"0.1"`
	ClockTolerance time.Duration `env:"TANDEM_CLOCK_TOLERANCE" envDefault:"1s"`
	DrainEvery     time.Duration `env:"TANDEM_DRAIN_EVERY" envDefault:"1m"`
	CatchUpEvery   time.Duration `env:"TANDEM_CATCH_UP_EVERY" envDefault:"15m"`
	ReconcileEvery time.Duration `env:"TANDEM_RECONCILE_EVERY" envDefault:"24h"`
	StopTimeout    time.Duration `env:"TANDEM_STOP_TIMEOUT" envDefault:"20s"`
	LogLevel       slog.Level    `env:"TANDEM_LOG_LEVEL" envDefault:"INFO"`

	Temporal client.Options `env:"-"`

	unread  []string // variables that could not be read: what is wrong with them was said
	unknown []unknownVariable
}

// Secret is a string that does not print itself.
type Secret string

const masked = "[set]"

// String, GoString and LogValue hide the value; a conversion to string shows it.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the value from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LoadConfig reads the environment. It reports all variables that cannot be read; Validate finds what is wrong with the
// others.
func LoadConfig() (Config, error) {
	var cfg Config
	err := env.Parse(&cfg)
	if aggregate, ok := errors.AsType[env.AggregateError](err); ok {
		err = cfg.unreadable(aggregate.Errors)
	}
	cfg.unknown = unknownVariables(os.Environ())
	temporal, temporalErr := envconfig.LoadDefaultClientOptions()
	cfg.Temporal = temporal
	return cfg, errors.Join(err, temporalErr)
}

// unreadable says it of the variable; the library knows the name of the field only.
func (c *Config) unreadable(faults []error) error {
	known := knownVariables()
	for i, fault := range faults {
		parse, ok := errors.AsType[env.ParseError](fault)
		if !ok {
			continue
		}
		variable := known[parse.Name]
		c.unread = append(c.unread, variable)
		faults[i] = fmt.Errorf("%s: must be %s: %w", variable, kinds[parse.Type], parse.Err)
	}
	return errors.Join(faults...)
}

// kinds of values, for people.
var kinds = map[reflect.Type]string{
	reflect.TypeFor[int]():           "a whole number",
	reflect.TypeFor[float64]():       "a number",
	reflect.TypeFor[time.Duration](): "a duration like 90s or 1m30s",
	reflect.TypeFor[slog.Level]():    "DEBUG, INFO, WARN or ERROR",
}

// Needs says which parts of the configuration a command uses.
type Needs int

// A command that only migrates needs no Stripe key.
const (
	NeedsDatabase Needs = iota
	NeedsAll
)

var environmentForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)

// Validate names every fault, one per line, by variable. A misspelt name is no fault by itself, but may be why another
// variable is missing.
func (c Config) Validate(needs Needs) error {
	faults := c.faults(needs)
	if len(faults) > 0 {
		for _, u := range c.unknown {
			faults = append(faults, errors.New(u.String()))
		}
	}
	return errors.Join(faults...)
}

func (c Config) faults(needs Needs) (faults []error) {
	bad := func(variable, format string, args ...any) {
		if !slices.Contains(c.unread, variable) {
			faults = append(faults, fmt.Errorf(variable+": "+format, args...))
		}
	}
	if u, err := url.Parse(string(c.DatabaseURL)); c.DatabaseURL == "" || err != nil || !strings.HasPrefix(u.Scheme, "postgres") {
		bad("DATABASE_URL", "must look like postgres://user@host:5432/name")
	}
	if needs == NeedsDatabase {
		return faults
	}
	if c.MaxConns < 4 {
		bad("TANDEM_DATABASE_MAX_CONNS", "must be at least 4")
	}
	if c.ChangesAtOnce < 1 {
		bad("TANDEM_CHANGES_AT_ONCE", "must be at least 1")
	}
	c.validateStripe(bad)
	if !environmentForm.MatchString(c.Environment) {
		bad("TANDEM_ENVIRONMENT", "names this installation at the provider, for good: 1 to 40 lower case letters, digits, - or _ (e.g. production)")
	}
	if len(c.APIKeys) == 0 {
		bad("TANDEM_API_KEYS", "at least one is required, as sha256:<hex>; `tandem key hash` makes one from a key on standard input")
	}
	for i, key := range c.APIKeys {
		if _, err := parseKeyHash(key); err != nil {
			bad("TANDEM_API_KEYS", "entry %d: %v", i+1, err)
		}
	}
	for _, addr := range [][2]string{{"TANDEM_HTTP_ADDR", c.HTTPAddr}, {"TANDEM_ADMIN_ADDR", c.AdminAddr}} {
		if _, _, err := net.SplitHostPort(addr[1]); err != nil {
			bad(addr[0], "must be host:port")
		}
	}
	c.mergePolicy(bad)
	if p := tandem.DeletePolicy(c.OnRemoteDelete); p != tandem.ArchiveCustomer && p != tandem.OnlyUnlink {
		bad("TANDEM_ON_REMOTE_DELETE", "must be archive or unlink")
	}
	if w := tandem.RemoteWish(c.OnArchive); w != tandem.DeleteRemote && w != tandem.KeepRemote {
		bad("TANDEM_ON_ARCHIVE", "must be delete or keep")
	}
	if c.BrakeCount < 0 {
		bad("TANDEM_DELETE_BRAKE_COUNT", "must not be negative; 0 switches it off")
	}
	if c.BrakeShare < 0 || c.BrakeShare > 1 {
		bad("TANDEM_DELETE_BRAKE_SHARE", "must be between 0 and 1; 0 switches it off")
	}
	if c.ClockTolerance < 0 || c.ClockTolerance > time.Minute {
		bad("TANDEM_CLOCK_TOLERANCE", "must be between 0s and 1m")
	}
	if c.DrainEvery < time.Second || c.DrainEvery > time.Hour {
		bad("TANDEM_DRAIN_EVERY", "must be between 1s and 1h")
	}
	if c.CatchUpEvery != 0 && (c.CatchUpEvery < time.Second || c.CatchUpEvery > 24*time.Hour) {
		bad("TANDEM_CATCH_UP_EVERY", "must be between 1s and 24h; 0 switches it off")
	}
	if c.ReconcileEvery != 0 && (c.ReconcileEvery < time.Minute || c.ReconcileEvery > 30*24*time.Hour) {
		bad("TANDEM_RECONCILE_EVERY", "must be between 1m and 720h; 0 switches it off")
	}
	return faults
}

// shortestSecret is what a webhook secret has to have at least: a forger needs no more than to guess it.
const shortestSecret = 12

func (c Config) validateStripe(bad func(variable, format string, args ...any)) {
	key := string(c.StripeAPIKey)
	if !strings.HasPrefix(key, "sk_") && !strings.HasPrefix(key, "rk_") {
		bad("STRIPE_API_KEY", "a secret (sk_…) or restricted (rk_…) key is required")
	}
	if len(c.StripeWebhookSecrets) == 0 {
		bad("STRIPE_WEBHOOK_SECRETS", "at least one is required: without it anybody could forge events")
	}
	for i, secret := range c.StripeWebhookSecrets {
		if !strings.HasPrefix(string(secret), "whsec_") || len(secret) < shortestSecret {
			bad("STRIPE_WEBHOOK_SECRETS", "entry %d must be whsec_ and at least %d characters after it, %d in all", i+1, shortestSecret-len("whsec_"), shortestSecret)
		}
	}
	if u, err := url.Parse(c.StripeAPIBase); c.StripeAPIBase != "" && (err != nil || u.Host == "" || !strings.HasPrefix(u.Scheme, "http")) {
		bad("STRIPE_API_BASE", "must be a URL")
	}
	if live := strings.Contains(key, "_live_"); live && c.StripeAPIBase != "" {
		bad("STRIPE_API_BASE", "a live key is only sent to Stripe itself")
	} else if live && (strings.HasPrefix(c.Environment, "test") || strings.HasPrefix(c.Environment, "dev")) {
		bad("STRIPE_API_KEY", "a live key in the environment %q: give it a test key, or name the environment for what it is", c.Environment)
	}
	if c.AcceptAccount != "" && !strings.HasPrefix(c.AcceptAccount, "acct_") {
		bad("TANDEM_ACCEPT_ACCOUNT", "must be the id of the account, acct_…, as the log gives it")
	}
	if c.StripeRPS <= 0 || c.StripeRPS > 100 && c.StripeAPIBase == "" { // a stand-in has no such limit
		bad("STRIPE_REQUESTS_PER_SECOND", "must be above 0 and at most 100, Stripe's limit for an account")
	}
	if c.StripeReads < 0 {
		bad("STRIPE_READS_PER_DAY", "must not be negative; 0 is no limit")
	}
}

func parseKeyHash(s Secret) (out [sha256.Size]byte, err error) {
	digest, ok := strings.CutPrefix(string(s), "sha256:")
	if !ok {
		return out, errors.New("must be sha256:<hex>, never the key itself")
	}
	raw, err := hex.DecodeString(digest)
	if err != nil || len(raw) != sha256.Size {
		return out, errors.New("must have 64 hexadecimal digits")
	}
	return [sha256.Size]byte(raw), nil
}

// HashKey is an API key as the configuration keeps it.
func HashKey(key string) Secret {
	sum := sha256.Sum256([]byte(key))
	return Secret("sha256:" + hex.EncodeToString(sum[:]))
}
