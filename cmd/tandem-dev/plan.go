package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"github.com/tandem-sync/tandem/app"
)

// plan is what is going to be started, with what configuration. It is made and checked before a folder is made or
// anything starts: a misspelt value must cost nothing.
type plan struct {
	cfg     app.Config
	ports   ports
	standIn bool // else the real Stripe, or whatever STRIPE_API_BASE says
}

func (f flags) plan() (plan, error) {
	cfg, err := app.LoadConfig()
	p := plan{cfg: cfg, ports: usual, standIn: cfg.StripeAPIKey == "" && cfg.StripeAPIBase == ""}
	if f.freePorts {
		p.ports = ports{}
	}
	p.complete()
	expected := p.cfg
	expected.DatabaseURL = cmp.Or(expected.DatabaseURL, "postgres://127.0.0.1/to-be-started")
	if err := errors.Join(err, expected.Validate(app.NeedsAll)); err != nil {
		return p, fmt.Errorf("the configuration is not usable:\n%w", err)
	}
	return p, p.ports.unless(cfg).check()
}

// complete says what is used unless told otherwise.
func (p *plan) complete() {
	if len(p.cfg.StripeWebhookSecrets) == 0 {
		p.cfg.StripeWebhookSecrets = []app.Secret{devWebhookSecret}
	}
	p.cfg.StripeAPIKey = cmp.Or(p.cfg.StripeAPIKey, devStripeKey)
	p.cfg.Environment = cmp.Or(p.cfg.Environment, devEnvironment)
	if len(p.cfg.APIKeys) == 0 {
		p.cfg.APIKeys = []app.Secret{app.HashKey(devAPIKey)}
	}
	if os.Getenv("TANDEM_HTTP_ADDR") == "" {
		p.cfg.HTTPAddr = loopback(p.ports.api)
	}
	if os.Getenv("TANDEM_ADMIN_ADDR") == "" {
		p.cfg.AdminAddr = loopback(p.ports.admin)
	}
	if p.standIn && os.Getenv("STRIPE_REQUESTS_PER_SECOND") == "" {
		p.cfg.StripeRPS = 100 // the stand-in has no limit to respect
	}
}
