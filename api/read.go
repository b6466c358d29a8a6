package api

import (
	"context"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
)

// bounded is the time that the work on one request may take.
func bounded(c echo.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.Request().Context(), requestBudget)
}

func (s *Server) getCustomer(c echo.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	cust, err := s.customer(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	return s.sendWithInfo(ctx, c, cust)
}

// getCustomerByExternalID finds active customers: an archived one has given its external id back.
func (s *Server) getCustomerByExternalID(c echo.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	externalID := pathParam(c, "external_id")
	if !utf8.ValidString(externalID) || strings.ContainsRune(externalID, 0) || utf8.RuneCountInString(externalID) > maxExternalID {
		return notFound()
	}
	ctx, cancel := bounded(c)
	defer cancel()
	cust, err := s.store.CustomerByExternalID(ctx, externalID)
	if err != nil {
		return err
	}
	return s.sendWithInfo(ctx, c, cust)
}

func (s *Server) customer(ctx context.Context, id string) (tandem.Customer, error) {
	if !customerID.MatchString(id) {
		return tandem.Customer{}, notFound()
	}
	return s.store.Customer(ctx, id)
}

func notFound() error {
	return tandem.Errorf(tandem.Invalid, tandem.CodeCustomerNotFound, "this customer does not exist")
}

func (s *Server) sendWithInfo(ctx context.Context, c echo.Context, cust tandem.Customer) error {
	views, err := s.withInfo(ctx, cust)
	if err != nil {
		return err
	}
	return send(c, http.StatusOK, views[0])
}

// withInfo reads the mappings of all these customers at once.
func (s *Server) withInfo(ctx context.Context, customers ...tandem.Customer) ([]customerView, error) {
	if len(customers) == 0 {
		return []customerView{}, nil
	}
	ids := make([]string, len(customers))
	for i, c := range customers {
		ids[i] = c.ID
	}
	mappings, err := s.store.Mappings(ctx, ids)
	if err != nil {
		return nil, err
	}
	return viewCustomers(customers, mappings), nil
}

// listCustomers takes two statements, however long the page is.
func (s *Server) listCustomers(c echo.Context) error {
	q, err := customerQuery(c)
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	limit := q.Limit
	q.Limit++
	customers, err := s.store.Customers(ctx, q)
	if err != nil {
		return err
	}
	customers, next := cut(customers, limit, func(c tandem.Customer) string { return c.ID })
	items, err := s.withInfo(ctx, customers...)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, page[customerView]{Items: items, Pagination: next})
}
