// Package app is the hallway: the only package that knows every room, and the only place where they are wired.
package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/api"
	"github.com/tandem-sync/tandem/db"
	"github.com/tandem-sync/tandem/providers/stripe"
	"github.com/tandem-sync/tandem/starter"
	"github.com/tandem-sync/tandem/worker"
)

// Role is a part of the work. One process may do both.
type Role int

// Serve answers HTTP, Work runs workflows and acts.
const (
	Serve Role = 1 << iota
	Work
)

// App is one running Tandem.
type App struct {
	cfg      Config
	log      *slog.Logger
	store    *db.Store
	temporal client.Client
	starter  *starter.Starter
	presence *presence
	polled   *polled
	guards   []*activities.Guard
	api      *api.Server
	workers  *worker.Workers

	public, admin *http.Server
	publicURL     string
	adminURL      string
	fatal         chan error
	working       bool
}

// garbagePercent lets the heap grow to five times what is in use before it is swept. Little is in use at a time (some
// 20 MiB), and webhooks arriving by the thousand made the default sweep take a seventh of all processor time. GOGC says
// otherwise.
const garbagePercent = 400

// Open connects to everything and binds the addresses, so that whatever cannot work is said before anything starts.
func Open(ctx context.Context, cfg Config, role Role, logger *slog.Logger) (_ *App, err error) {
	if err := cfg.Validate(NeedsAll); err != nil {
		return nil, err
	}
	cfg.warnOfUnknown(logger)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	a := &App{cfg: cfg, log: logger, fatal: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	registry := prometheus.NewRegistry()
	providers, policy, err := cfg.providers(logger)
	if err != nil {
		return nil, err
	}
	if a.store, err = cfg.OpenStore(ctx, policy, providers.Names()); err != nil {
		return nil, err
	}
	if err := a.store.Migrated(ctx); err != nil {
		return nil, err
	}
	if err := a.connectTemporal(registry); err != nil {
		return nil, err
	}
	a.starter = starter.New(a.temporal, providers.Names())
	a.presence = &presence{check: a.starter.Check, address: cfg.Temporal.HostPort, log: logger}
	a.polled = &polled{look: a.starter.Polled, now: time.Now}
	metrics := newMetrics(registry, a.store, logger)
	if role&Work != 0 {
		providers = a.guard(providers)
		a.workers = worker.New(a.temporal, &activities.Activities{
			Store: a.store, Providers: providers, Starter: a.starter, Metrics: metrics, Logger: logger,
			ReadsPerDay: cfg.StripeReads, Pace: pace(providers.Names(), cfg.StripeRPS),
		}, worker.Options{
			RequestsPerSecond: cfg.StripeRPS, StopTimeout: cfg.StopTimeout, OnFatal: a.fail, Namespace: cfg.Temporal.Namespace, Logger: logger,
		})
	}
	a.api = api.New(api.Deps{
		Store: a.store, Starter: a.starter, Providers: providers, Merge: policy.Merge, APIKeys: cfg.keyHashes(), Logger: logger,
		Registry: registry,
		Ready:    func(ctx context.Context) error { return named("postgres", a.store.Ping(ctx)) },
		Whole:    a.Whole, Reachable: a.presence.reachable, ChangesAtOnce: cfg.ChangesAtOnce,
	})
	return a, a.listen(ctx, role)
}

// guard keeps calls from a provider whose key leads to another account than before.
func (a *App) guard(providers tandem.Providers) (out tandem.Providers) {
	for _, p := range providers {
		g := activities.NewGuard(p)
		a.guards, out = append(a.guards, g), append(out, g)
	}
	return out
}

func named(check string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", check, err)
	}
	return nil
}

// providers is the list of connections: adding a provider is one folder and one line here.
func (c Config) providers(logger *slog.Logger) (tandem.Providers, tandem.Policy, error) {
	secrets := make([]string, len(c.StripeWebhookSecrets))
	for i, s := range c.StripeWebhookSecrets {
		secrets[i] = string(s)
	}
	s, err := stripe.New(stripe.Config{
		APIKey: string(c.StripeAPIKey), WebhookSecrets: secrets, BaseURL: c.StripeAPIBase, Logger: logger,
	})
	if err != nil {
		return nil, tandem.Policy{}, err
	}
	return tandem.Providers{s}, tandem.Policy{
		Environment: c.Environment, Livemode: s.Livemode(),
		Merge:          c.mergePolicy(func(string, string, ...any) {}), // Validate has named the faults
		OnRemoteDelete: tandem.DeletePolicy(c.OnRemoteDelete), OnArchive: tandem.RemoteWish(c.OnArchive),
		Brake: tandem.Brake{Count: c.BrakeCount, Share: c.BrakeShare}, ClockTolerance: c.ClockTolerance,
	}, nil
}

// OpenStore connects to the database alone.
func (c Config) OpenStore(ctx context.Context, policy tandem.Policy, providers []string) (*db.Store, error) {
	return db.Open(ctx, db.Config{URL: string(c.DatabaseURL), MaxConns: c.MaxConns, Policy: policy, Providers: providers})
}

func (c Config) keyHashes() [][sha256.Size]byte {
	var out [][sha256.Size]byte
	for _, key := range c.APIKeys {
		if h, err := parseKeyHash(key); err == nil { // Validate has refused the others
			out = append(out, h)
		}
	}
	return out
}

// connectTemporal does not ask whether Temporal is there: webhooks are taken in without it.
func (a *App) connectTemporal(registry *prometheus.Registry) error {
	options := a.cfg.Temporal
	options.Logger = log.NewStructuredLogger(a.log.With("component", "temporal"))
	reconnect := backoff.DefaultConfig
	reconnect.BaseDelay, reconnect.MaxDelay = breath, longestReconnect
	options.ConnectionOptions.DialOptions = append(options.ConnectionOptions.DialOptions,
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: 20 * time.Second}))
	var err error
	if options.MetricsHandler, err = temporalMetrics(registry, a.log); err != nil {
		return err
	}
	if a.temporal, err = client.NewLazyClient(options); err != nil {
		return fmt.Errorf("connect to Temporal at %s: %w", options.HostPort, err)
	}
	return nil
}

func (a *App) listen(ctx context.Context, role Role) error {
	var err error
	if role&Serve != 0 {
		if a.public, a.publicURL, err = bind(ctx, "TANDEM_HTTP_ADDR", a.cfg.HTTPAddr, a.api.Handler(), a.fail); err != nil {
			return err
		}
	}
	a.admin, a.adminURL, err = bind(ctx, "TANDEM_ADMIN_ADDR", a.cfg.AdminAddr, a.api.AdminHandler(), a.fail)
	return err
}

// bind listens and begins to serve. Port 0 is any free one.
func bind(ctx context.Context, variable, addr string, handler http.Handler, fail func(error)) (*http.Server, string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, "", fmt.Errorf("%s: cannot listen on %s: %w", variable, addr, err)
	}
	server := api.NewHTTPServer(addr, handler)
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fail(err)
		}
	}()
	return server, "http://" + listener.Addr().String(), nil
}

// URL is where the API answers; AdminURL is the private listener.
func (a *App) URL() string { return a.publicURL }

// AdminURL is where metrics and profiles are.
func (a *App) AdminURL() string { return a.adminURL }

func (a *App) fail(err error) {
	select {
	case a.fatal <- err:
	default: // the first failure is the one that is reported
	}
}

// Whole names what is missing for everything to work.
func (a *App) Whole(ctx context.Context) error {
	if err := a.starter.Check(ctx); err != nil {
		return named("temporal", err)
	}
	return named("workers", a.polled.check(ctx))
}

// Run works until ctx ends or something fails that cannot be mended from within.
func (a *App) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	away := a.presence.look(ctx)
	if ctx.Err() != nil {
		return nil
	}
	watching.Go(func() { a.presence.watch(ctx) })
	if away != nil && a.public != nil {
		a.sayReady("temporal") // webhooks are taken in and reads are answered; changes get a 503
	}
	if a.workers != nil {
		if done, err := a.awaitTemporal(ctx); done {
			return err
		}
		for _, g := range a.guards {
			watching.Go(func() { g.Watch(ctx, a.store, a.cfg.AcceptAccount, a.log) })
		}
		if err := a.work(ctx); err != nil {
			return err
		}
	}
	if away == nil || a.workers != nil {
		a.sayReady("")
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.fatal:
		return err
	}
}

func (a *App) sayReady(missing string) {
	a.log.Info("app.ready", "api", a.publicURL, "admin", a.adminURL, "environment", a.cfg.Environment,
		"stripe_api_key", a.cfg.StripeAPIKey, "degraded", missing != "", "missing", missing)
}

func (a *App) work(ctx context.Context) error {
	if err := a.workers.Start(); err != nil {
		return err
	}
	a.working = true
	if err := a.starter.EnsureSchedules(ctx, starter.Every{
		Drain: a.cfg.DrainEvery, CatchUp: a.cfg.CatchUpEvery, Reconcile: a.cfg.ReconcileEvery,
	}); err != nil {
		a.log.Error("schedules.not_made", "error", err) // those of an earlier start go on
	}
	return nil
}

// awaitTemporal returns when Temporal answers; done: the process is to stop first.
func (a *App) awaitTemporal(ctx context.Context) (done bool, err error) {
	tick := time.NewTicker(breath)
	defer tick.Stop()
	for a.presence.last() != nil {
		select {
		case <-ctx.Done():
			return true, nil
		case err := <-a.fatal:
			return true, err
		case <-tick.C:
		}
	}
	return false, nil
}

// Close stops in the order that loses nothing: first no new requests, then the acts in progress, then the connections.
func (a *App) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), a.cfg.StopTimeout+time.Second)
	defer cancel()
	var group errgroup.Group
	for _, server := range []*http.Server{a.public, a.admin} {
		if server != nil {
			group.Go(func() error { return server.Shutdown(ctx) })
		}
	}
	err := group.Wait()
	if a.api != nil {
		a.api.Close()
	}
	if a.working {
		a.workers.Stop()
	}
	if a.temporal != nil {
		a.temporal.Close()
	}
	if a.store != nil {
		err = errors.Join(err, a.store.Close())
	}
	return err
}
