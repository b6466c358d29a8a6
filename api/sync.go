package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

// The actions of POST …/sync. Two of them are the words that the workflows know.
const (
	actionSync    = "sync"
	actionRetry   = string(tandem.WordRetry)
	actionSkip    = string(tandem.WordSkip)
	actionResolve = "resolve"
)

// wish is what a person wants done about a customer's sync. An empty provider is all of them.
type wish struct {
	action   string
	provider string
	winners  map[string]tandem.Winner
}

// syncCustomer passes a wish on to the customer's workflow. All but resolve are answered before they are fulfilled.
func (s *Server) syncCustomer(c echo.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	w, err := s.decodeWish(c)
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	cust, err := s.customer(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	if w.action == actionResolve {
		return s.resolve(ctx, c, cust.ID, w)
	}
	run, err := s.pass(ctx, w, cust.ID, requestID(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, run)
}

func (s *Server) pass(ctx context.Context, w wish, customer, request string) (tandem.Run, error) {
	if w.action == actionSync {
		return s.starter.Sync(ctx, customer, tandem.Cause{Kind: tandem.ByOperator, ID: request})
	}
	return s.starter.Nudge(ctx, customer, w.provider, tandem.Word(w.action))
}

// resolve is an answer, not a promise: the fields are decided when it returns, and only their sync goes on behind it.
func (s *Server) resolve(ctx context.Context, c echo.Context, customer string, w wish) error {
	m, err := s.starter.Resolve(ctx, tandem.Resolve{ID: newULID(), CustomerID: customer, Provider: w.provider, Winners: w.winners})
	chaos.Point("api.after_start_before_reply")
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, s.rereadMapping(ctx, c, m))
}

func (s *Server) decodeWish(c echo.Context) (wish, error) {
	var w wish
	var winner map[string]string
	f, err := form{
		noun:  "a sync request",
		texts: map[string]*string{"action": &w.action, "provider": &w.provider},
		maps:  map[string]*map[string]string{"winner": &winner},
	}.read(c)
	if err != nil {
		return w, err
	}
	f.word("action", w.action, actionSync, actionRetry, actionSkip, actionResolve)
	if w.action == actionResolve && w.provider == "" && len(s.providers) == 1 {
		w.provider = s.providers[0].Name()
	}
	if w.provider != "" || w.action == actionResolve {
		f.knownProvider("provider", w.provider, s.providers)
	}
	switch {
	case w.action == actionResolve && len(winner) == 0:
		f.required("winner")
	case w.action != actionResolve && winner != nil:
		f.refuse("winner", "not_allowed", "belongs to the action resolve")
	}
	w.winners = f.winners(winner)
	return w, f.err()
}

// knownProvider expects the name of a provider of this installation.
func (f *faults) knownProvider(field, name string, providers tandem.Providers) {
	switch _, err := providers.Get(name); {
	case name == "":
		f.required(field)
	case err != nil:
		f.refuse(field, tandem.CodeProviderUnknown, "must be "+choice(providers.Names()))
	}
}

// winners reads a choice by field. That the field is on hold is for the workflow to say.
func (f *faults) winners(chosen map[string]string) map[string]tandem.Winner {
	out := make(map[string]tandem.Winner, len(chosen))
	for _, field := range slices.Sorted(maps.Keys(chosen)) {
		if !syncedField(field) {
			f.refuse("winner."+field, "unknown_field", "must be name, email, phone, address or metadata.<key>")
			continue
		}
		f.word("winner."+field, chosen[field], string(tandem.PlatformWins), string(tandem.ProviderWins))
		out[field] = tandem.Winner(chosen[field])
	}
	return out
}

func syncedField(field string) bool {
	key, isKey := strings.CutPrefix(field, tandem.FieldMetadata+".")
	return isKey && key != "" ||
		slices.Contains([]string{tandem.FieldName, tandem.FieldEmail, tandem.FieldPhone, tandem.FieldAddress}, field)
}
