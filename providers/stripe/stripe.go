package stripe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	stripego "github.com/stripe/stripe-go/v76"

	"github.com/tandem-sync/tandem"
)

var _ tandem.Provider = (*Provider)(nil)

// The defaults of a Config.
const (
	DefaultName      = "stripe"
	DefaultTimeout   = 20 * time.Second
	DefaultTolerance = 300 * time.Second
)

// Config describes one connection to one Stripe account. APIKey and WebhookSecrets are required.
type Config struct {
	Name           string        // of the connection: lower case letters, digits, dashes; "stripe" when empty
	APIKey         string        // secret (sk_…) or restricted (rk_…) key; its prefix says live or test
	WebhookSecrets []string      // all that are valid now: two while one is being rolled over
	BaseURL        string        // Stripe itself when empty; a stand-in or a proxy otherwise
	Timeout        time.Duration // of one call, connecting and reading included; 20 s when zero
	Tolerance      time.Duration // how old a webhook signature may be; 300 s when zero

	Transport http.RoundTripper // for proxies and tests; one of our own when nil
	Logger    *slog.Logger      // discards when nil; gets ids, classes and codes, never personal data

	// Observe is told of every call: op is create, update, fetch, delete, list, events or account, status is 0 when no
	// answer came, errClass is empty when all went well.
	Observe func(op string, status int, errClass string, took time.Duration)
}

// Provider is a connection to one Stripe account. It is safe for concurrent use.
type Provider struct {
	name      string
	key       string
	secrets   []string
	livemode  bool
	timeout   time.Duration
	tolerance time.Duration
	backend   stripego.Backend
	client    *http.Client
	log       *slog.Logger
	observe   func(op string, status int, errClass string, took time.Duration)
}

// New checks the configuration, reporting all its faults together, and calls nobody.
func New(cfg Config) (*Provider, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("stripe: %w", err)
	}
	p := &Provider{
		name: cfg.Name, key: cfg.APIKey, secrets: cfg.WebhookSecrets, livemode: isLive(cfg.APIKey),
		timeout: cfg.Timeout, tolerance: cfg.Tolerance, log: cfg.Logger, observe: cfg.Observe,
		client: newHTTPClient(cfg.Transport),
	}
	// A backend of our own: stripe-go's shared ones are global and have two idle connections. A new config for every
	// backend, because GetBackendWithConfig writes into it. The logger is quiet because its debug level prints bodies.
	p.backend = stripego.GetBackendWithConfig(stripego.APIBackend, &stripego.BackendConfig{
		URL:               stripego.String(cfg.BaseURL),
		HTTPClient:        p.client,
		MaxNetworkRetries: stripego.Int64(0),
		EnableTelemetry:   stripego.Bool(false),
		LeveledLogger:     &stripego.LeveledLogger{Level: stripego.LevelNull},
	})
	return p, nil
}

// Name implements tandem.Provider.
func (p *Provider) Name() string { return p.name }

// String keeps key and secrets out of whatever prints a provider.
func (p *Provider) String() string { return "stripe connection " + p.name }

// Livemode reports whether the key reaches real customers.
func (p *Provider) Livemode() bool { return p.livemode }

// Close lets idle connections go. Calls in flight are not disturbed.
func (p *Provider) Close() { p.client.CloseIdleConnections() }

func (c Config) withDefaults() Config {
	c.Name = cmp.Or(c.Name, DefaultName)
	c.APIKey = strings.TrimSpace(c.APIKey)
	c.BaseURL = cmp.Or(strings.TrimSpace(c.BaseURL), stripego.APIURL)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.Tolerance = cmp.Or(c.Tolerance, DefaultTolerance)
	secrets := make([]string, len(c.WebhookSecrets)) // a copy: the caller's slice is not ours to keep or to trim
	for i, s := range c.WebhookSecrets {
		secrets[i] = strings.TrimSpace(s)
	}
	c.WebhookSecrets = secrets
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(string, int, string, time.Duration) {}
	}
	return c
}

var (
	nameShape = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	keyShape  = regexp.MustCompile(`^(sk|rk)_[A-Za-z0-9_]+$`)
)

// validate never quotes a key or a secret: what is wrong with it must be guessable from the message alone.
func (c Config) validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !nameShape.MatchString(c.Name) {
		fault("name %q: lower case letters, digits and dashes, at most 40", c.Name)
	}
	switch {
	case c.APIKey == "":
		fault("API key: missing")
	case strings.HasPrefix(c.APIKey, "pk_"):
		fault("API key: this is a publishable key; a secret (sk_) or restricted (rk_) one is needed")
	case !keyShape.MatchString(c.APIKey):
		fault("API key: a secret key starts with sk_, a restricted one with rk_, and neither has blanks")
	}
	if len(c.WebhookSecrets) == 0 {
		fault("webhook secrets: at least one is needed")
	}
	for i, s := range c.WebhookSecrets {
		if s == "" { // an empty HMAC key would make every event forgeable
			fault("webhook secrets: number %d is empty", i+1)
		}
	}
	if err := c.validateBaseURL(); err != nil {
		faults = append(faults, err)
	}
	if c.Timeout < 0 || c.Tolerance < 0 {
		fault("timeout and tolerance cannot be negative")
	}
	return errors.Join(faults...)
}

func (c Config) validateBaseURL() error {
	u, err := url.Parse(c.BaseURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" {
		return errors.New("base URL: must be http(s)://host, without user, password or query")
	}
	if u.Scheme == "http" && isLive(c.APIKey) && !isLoopback(u.Hostname()) {
		return errors.New("base URL: a live key is not sent over plain http")
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func isLive(key string) bool {
	return strings.HasPrefix(key, "sk_live_") || strings.HasPrefix(key, "rk_live_")
}

// finish reports one call to the metrics and the log, and translates its error.
func (p *Provider) finish(ctx context.Context, c *call, err error) error {
	took := time.Since(c.started)
	if err == nil {
		p.observe(c.op.name, c.status, "", took)
		p.log.DebugContext(ctx, "stripe.called", "op", c.op.name, "provider", p.name, "status", c.status,
			"request_id", c.requestID(), "took", took)
		return nil
	}
	e := p.translate(c, err)
	p.observe(c.op.name, c.status, string(e.Class), took)
	p.log.WarnContext(ctx, "stripe.failed", "op", c.op.name, "provider", p.name, "status", c.status,
		"class", e.Class, "code", e.Code, "param", e.Param, "request_id", e.RequestID, "took", took)
	return e
}
