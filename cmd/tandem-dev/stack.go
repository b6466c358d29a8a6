package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/app"
	"github.com/tandem-sync/tandem/devstack"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// What the stack uses unless told otherwise. Nothing of it is a secret: everything listens on this machine only.
const (
	devAPIKey        = "sk_dev_tandem"
	devWebhookSecret = "whsec_dev_tandem"
	devStripeKey     = "sk_test_tandemdev"
	devEnvironment   = "dev"
	devDatabase      = "tandem"
)

// ports are the usual ones; zero is any free one.
type ports struct{ api, admin, temporal, temporalUI, stripe, stripeControl int }

var usual = ports{api: 8080, admin: 9090, temporal: 7233, temporalUI: 8233, stripe: 12121, stripeControl: 12122}

// unless drops the ports of what is given from outside.
func (p ports) unless(cfg app.Config) ports {
	if os.Getenv("TANDEM_HTTP_ADDR") != "" {
		p.api = 0
	}
	if os.Getenv("TANDEM_ADMIN_ADDR") != "" {
		p.admin = 0
	}
	if os.Getenv("TEMPORAL_ADDRESS") != "" {
		p.temporal, p.temporalUI = 0, 0
	}
	if cfg.StripeAPIKey != "" || cfg.StripeAPIBase != "" {
		p.stripe, p.stripeControl = 0, 0
	}
	return p
}

// check looks before anything is started.
func (p ports) check() error {
	for _, one := range []struct {
		name string
		port int
	}{
		{"the API", p.api}, {"metrics", p.admin}, {"Temporal", p.temporal}, {"Temporal UI", p.temporalUI},
		{"the Stripe stand-in", p.stripe}, {"the stand-in's control API", p.stripeControl},
	} {
		if err := devstack.CheckPort(one.name, one.port); err != nil {
			return fmt.Errorf("%w (--free-ports takes any)", err)
		}
	}
	return nil
}

// addresses is what the ready file says.
type addresses struct {
	API           string `json:"api"`
	Admin         string `json:"admin"`
	Temporal      string `json:"temporal"`
	TemporalUI    string `json:"temporal_ui,omitempty"`
	Stripe        string `json:"stripe,omitempty"`
	StripeControl string `json:"stripe_control,omitempty"`
	Database      string `json:"database"`
	PID           int    `json:"pid"`
}

type stack struct {
	home     *home
	cfg      app.Config
	postgres *devstack.Postgres
	temporal *devstack.Temporal
	stripe   *stripetest.Server
	app      *app.App
	at       addresses
	stopRun  context.CancelFunc
	ran      chan error
}

// start brings everything up, in parallel where it can be. What was started is stopped again if something fails.
func start(ctx context.Context, f flags, p plan, home *home, logger *slog.Logger) (_ *stack, err error) {
	s := &stack{home: home, cfg: p.cfg, ran: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = s.stop(err)
		}
	}()
	group, starting := errgroup.WithContext(ctx)
	group.Go(func() error { return s.startPostgres(starting, f, logger) })
	group.Go(func() error { return s.startTemporal(starting, p.ports, logger) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if p.standIn {
		if err := s.startStripe(f, p.ports, logger); err != nil {
			return nil, err
		}
	}
	return s, s.startApp(ctx, logger)
}

func (s *stack) startPostgres(ctx context.Context, f flags, logger *slog.Logger) error {
	if s.cfg.DatabaseURL != "" {
		return nil
	}
	var err error
	s.postgres, err = devstack.StartPostgres(ctx, devstack.PostgresOptions{
		DataDir: s.home.path("postgres"), Ephemeral: f.ephemeral, Logger: logger,
	})
	if err != nil {
		return err
	}
	if err := s.postgres.EnsureDatabase(ctx, devDatabase); err != nil {
		return err
	}
	s.cfg.DatabaseURL = app.Secret(s.postgres.DSN(devDatabase))
	return nil
}

func (s *stack) startTemporal(ctx context.Context, p ports, logger *slog.Logger) error {
	if os.Getenv("TEMPORAL_ADDRESS") != "" {
		return s.checkTemporal(ctx)
	}
	var err error
	s.temporal, err = devstack.StartTemporal(ctx, devstack.TemporalOptions{
		DBFile: s.home.path("temporal.db"), Port: p.temporal, UIPort: p.temporalUI, Logger: logger,
	})
	if err != nil {
		return err
	}
	s.cfg.Temporal.HostPort = s.temporal.Address()
	return nil
}

// checkTemporal tells a mistyped address at once. In production Tandem starts without Temporal, and waits for it.
func (s *stack) checkTemporal(ctx context.Context) error {
	c, err := client.DialContext(ctx, s.cfg.Temporal)
	if err != nil {
		return fmt.Errorf("TEMPORAL_ADDRESS: %w", err)
	}
	c.Close()
	return nil
}

func (s *stack) startStripe(f flags, p ports, logger *slog.Logger) error {
	stateFile := ""
	if !f.ephemeral { // our mappings remember its customers, so it has to remember them too
		stateFile = s.home.path("stripe.json")
	}
	var err error
	s.stripe, err = stripetest.Start(stripetest.Options{
		Addr: loopback(p.stripe), ControlAddr: loopback(p.stripeControl), Logger: logger, StateFile: stateFile,
		Settings: stripetest.Settings{WebhookTimeout: 10 * time.Second},
	})
	if err != nil {
		return err
	}
	s.cfg.StripeAPIBase = s.stripe.URL()
	return nil
}

func (s *stack) startApp(ctx context.Context, logger *slog.Logger) error {
	if err := s.migrate(ctx); err != nil {
		return err
	}
	var err error
	if s.app, err = app.Open(ctx, s.cfg, app.Serve|app.Work, logger); err != nil {
		return err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stopRun = stop
	go func() { s.ran <- s.app.Run(run) }()
	if s.stripe != nil {
		secrets := make([]string, len(s.cfg.StripeWebhookSecrets))
		for i, secret := range s.cfg.StripeWebhookSecrets {
			secrets[i] = string(secret)
		}
		s.stripe.SetWebhook(s.app.URL()+"/v1/webhooks/stripe", secrets...)
	}
	s.at = s.addresses()
	return s.awaitWhole(ctx)
}

// awaitWhole returns when everything answers: workers begin to poll a moment after they were started.
func (s *stack) awaitWhole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, wholeTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.app.Whole(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not everything answers: %w", err)
		case err := <-s.ran:
			s.ran <- nil
			return err
		case <-tick.C:
		}
	}
}

const wholeTimeout = 30 * time.Second

func (s *stack) migrate(ctx context.Context) error {
	store, err := s.cfg.OpenStore(ctx, tandem.Policy{}, nil)
	if err != nil {
		return err
	}
	_, err = store.Migrate(ctx)
	return errors.Join(err, store.Close())
}

func (s *stack) addresses() addresses {
	at := addresses{
		API: s.app.URL(), Admin: s.app.AdminURL(), Database: withoutPassword(string(s.cfg.DatabaseURL)),
		Temporal: cmp.Or(s.cfg.Temporal.HostPort, client.DefaultHostPort), PID: os.Getpid(),
	}
	if s.postgres != nil {
		at.Database = string(s.cfg.DatabaseURL) // ours, on this machine only
	}
	if s.temporal != nil {
		at.TemporalUI = s.temporal.UIURL()
	}
	if s.stripe != nil {
		at.Stripe, at.StripeControl = s.stripe.URL(), s.stripe.ControlURL()
	}
	return at
}

func withoutPassword(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Redacted()
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// wait is until somebody says stop, or Tandem itself cannot go on.
func (s *stack) wait(ctx context.Context) error {
	var postgres, temporal <-chan struct{}
	if s.postgres != nil {
		postgres = s.postgres.Done()
	}
	if s.temporal != nil {
		temporal = s.temporal.Done()
	}
	select {
	case <-ctx.Done():
		return nil
	case <-postgres:
		return fmt.Errorf("the database server has ended; its log is in %s", s.home.path("postgres"))
	case <-temporal:
		return fmt.Errorf("the Temporal server has ended; its log is %s", s.home.path("temporal.log"))
	case err := <-s.ran:
		s.ran <- nil
		return err
	}
}

// stop takes everything down in the reverse order, whatever of it is up.
func (s *stack) stop(err error) error {
	if s.app != nil {
		if s.stopRun != nil {
			s.stopRun()
			err = errors.Join(err, <-s.ran)
		}
		err = errors.Join(err, s.app.Close())
	}
	if s.stripe != nil {
		s.stripe.Close()
	}
	if s.temporal != nil {
		err = errors.Join(err, s.temporal.Stop())
	}
	if s.postgres != nil {
		err = errors.Join(err, s.postgres.Stop())
	}
	return err
}

// writeReady appears whole or not at all: whoever waits for the file may read it at once.
func (s *stack) writeReady(path string) error {
	b, err := json.MarshalIndent(s.at, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

func (s *stack) banner(out io.Writer, took time.Duration) {
	line := func(name, value, note string) {
		if value != "" {
			fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("  %-16s %-34s %s", name, value, note), " "))
		}
	}
	fmt.Fprintf(out, "\nTandem is up (%.1f s).\n\n", took.Seconds())
	line("API", s.at.API, "key "+s.keyHint()+", described at /openapi.yaml")
	line("Temporal UI", s.at.TemporalUI, "both directions, live")
	line("Stripe stand-in", s.at.Stripe, "any sk_test_… key")
	line("its control API", s.at.StripeControl, "edit as in the dashboard, faults, clock, webhooks")
	line("metrics", s.at.Admin+"/metrics", "profiles at /debug/pprof/")
	line("Temporal", s.at.Temporal, "")
	line("Postgres", s.at.Database, "")
	line("data, logs", s.home.dir, "")
	fmt.Fprintf(out, `
Try:
  curl -s '%s/v1/customers?wait=5s' -H 'x-api-key: %s' \
    -H 'content-type: application/json' -d '{"name":"Ada Lovelace","email":"ada@example.org"}'

`, s.at.API, s.keyHint())
	if s.stripe == nil {
		fmt.Fprintf(out, "This talks to Stripe. To bring its webhooks here:\n  stripe listen --events customer.created,customer.updated,customer.deleted --forward-to %s/v1/webhooks/stripe\n(and give the secret it prints as STRIPE_WEBHOOK_SECRETS)\n\n", s.at.API)
	}
	fmt.Fprintln(out, "Ctrl-C stops everything.")
}

func (s *stack) keyHint() string {
	if os.Getenv("TANDEM_API_KEYS") != "" {
		return "of TANDEM_API_KEYS"
	}
	return devAPIKey
}
