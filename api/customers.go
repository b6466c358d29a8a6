package api

import (
	"context"
	"maps"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

const headerReplayed = "Idempotent-Replayed"

// createCustomer answers as soon as the customer is stored; the sync goes on behind it.
func (s *Server) createCustomer(c echo.Context) error {
	wait, err := waitFor(c)
	if err != nil {
		return err
	}
	key, err := idempotencyKey(c)
	if err != nil {
		return err
	}
	ch, err := s.decodeCreate(c)
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	cust, replayed, err := s.create(ctx, ch, key)
	if err != nil {
		return err
	}
	if replayed {
		c.Response().Header().Set(headerReplayed, "true")
	}
	c.Response().Header().Set(echo.HeaderLocation, "/v1/customers/"+cust.ID)
	return s.answerChange(c, http.StatusCreated, cust, wait)
}

func (s *Server) decodeCreate(c echo.Context) (tandem.Change, error) {
	body, err := readJSON(c, echo.MIMEApplicationJSON)
	if err != nil {
		return tandem.Change{}, err
	}
	ch, f, err := decodeChange(body)
	if err != nil {
		return ch, err
	}
	ch.ID, ch.Kind, ch.CustomerID = newULID(), tandem.ChangeCreate, s.newID()
	ch.ClearMetadata = false // there is none yet
	return ch, s.validate(f, ch, tandem.Customer{}, ch.Apply(tandem.Customer{}))
}

// create makes the customer, or finds the one that the same key and body made before. With a key everything that
// names the create is derived from it, so that the same request sent twenty times at once is one wish.
func (s *Server) create(ctx context.Context, ch tandem.Change, key string) (cust tandem.Customer, replayed bool, err error) {
	if key != "" {
		r, err := s.store.Reserve(ctx, key, bodyHash(ch), ch.CustomerID)
		if err != nil {
			return cust, false, err
		}
		if r.Answer != nil {
			return *r.Answer, true, nil
		}
		replayed = r.CustomerID != ch.CustomerID // somebody came first, and may be under way
		ch.ID, ch.CustomerID, ch.IdempotencyKey = key, r.CustomerID, key
		chaos.Point("api.after_reserve_before_start")
	}
	if err := s.externalIDFree(ctx, ch); err != nil {
		return cust, false, err
	}
	cust, err = s.starter.Change(ctx, ch)
	return cust, replayed, err
}

// externalIDFree spares a workflow that could only fail; the unique index has the last word. It comes after the
// reservation, for the customer that has the external id may be the one this very request has made.
func (s *Server) externalIDFree(ctx context.Context, ch tandem.Change) error {
	if ch.ExternalID == nil || *ch.ExternalID == "" {
		return nil
	}
	other, err := s.store.CustomerByExternalID(ctx, *ch.ExternalID)
	switch {
	case err == nil && other.ID != ch.CustomerID:
		return tandem.Errorf(tandem.Conflict, tandem.CodeExternalIDTaken, "another active customer has this external_id")
	case err != nil && tandem.CodeOf(err) != tandem.CodeCustomerNotFound:
		return err
	}
	return nil
}

// updateCustomer serves PATCH and PUT alike: both carry a JSON merge patch.
func (s *Server) updateCustomer(c echo.Context) error {
	wait, err := waitFor(c)
	if err != nil {
		return err
	}
	expected, err := ifMatch(c)
	if err != nil {
		return err
	}
	body, err := readJSON(c, echo.MIMEApplicationJSON, mergePatch)
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	cust, err := s.update(ctx, c.Param("id"), expected, body)
	if err != nil {
		return err
	}
	return s.answerChange(c, http.StatusOK, cust, wait)
}

// update changes the customer, if the patch changes anything: a sync of nothing would be a workflow for nothing.
func (s *Server) update(ctx context.Context, id string, expected int64, body []byte) (tandem.Customer, error) {
	ch, f, err := decodeChange(body)
	if err != nil {
		return tandem.Customer{}, err
	}
	if len(f.shape) > 0 {
		return tandem.Customer{}, f.err()
	}
	before, err := s.changeable(ctx, id, expected)
	if err != nil {
		return before, err
	}
	after := ch.Apply(before)
	if err := s.validate(f, ch, before, after); err != nil {
		return before, err
	}
	if same(before, after) {
		return before, nil
	}
	ch.ID, ch.Kind, ch.CustomerID, ch.ExpectedVersion = newULID(), tandem.ChangeUpdate, id, expected
	if err := s.externalIDFree(ctx, ch); err != nil {
		return before, err
	}
	return s.starter.Change(ctx, ch)
}

// changeable reads the customer and refuses what its Outbound workflow would refuse; that one has the last word.
func (s *Server) changeable(ctx context.Context, id string, expected int64) (tandem.Customer, error) {
	cust, err := s.customer(ctx, id)
	switch {
	case err != nil:
		return cust, err
	case cust.Status == tandem.Archived:
		return cust, tandem.Errorf(tandem.Conflict, tandem.CodeCustomerArchived, "the customer is archived and cannot be changed")
	}
	return cust, checkVersion(cust, expected)
}

func checkVersion(cust tandem.Customer, expected int64) error {
	if expected != 0 && expected != cust.Version {
		return tandem.Errorf(tandem.Conflict, tandem.CodeVersionMismatch, "the customer has version %d, not %d", cust.Version, expected)
	}
	return nil
}

func same(a, b tandem.Customer) bool {
	return a.ExternalID == b.ExternalID && a.Name == b.Name && a.Email == b.Email && a.Phone == b.Phone &&
		a.Address == b.Address && maps.Equal(a.Metadata, b.Metadata)
}
