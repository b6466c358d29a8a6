package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

const pathMappings = "/v1/entity-integration-mappings"

// createMapping links by hand. Both sides are verified, the remote one by asking the provider.
func (s *Server) createMapping(c echo.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	l, cust, err := s.decodeLink(ctx, c)
	if err != nil {
		return err
	}
	m, err := s.link(ctx, cust, l)
	chaos.Point("api.after_start_before_reply")
	if err != nil {
		return refusedLink(err)
	}
	c.Response().Header().Set(echo.HeaderLocation, pathMappings+"/"+m.ID)
	return c.JSON(http.StatusCreated, s.rereadMapping(ctx, c, m))
}

// link spares a workflow that could only fail, and a read at the provider: a typing mistake should cost neither. The
// workflow has the last word.
func (s *Server) link(ctx context.Context, cust tandem.Customer, l tandem.Link) (tandem.Mapping, error) {
	if cust.Status == tandem.Archived {
		return tandem.Mapping{}, tandem.Errorf(tandem.Conflict, tandem.CodeCustomerArchived, "the customer is archived and cannot be linked")
	}
	linked, err := s.store.ListMappings(ctx, tandem.MappingQuery{CustomerID: l.CustomerID, Provider: l.Provider, Limit: 1})
	if err != nil {
		return tandem.Mapping{}, err
	}
	for _, m := range linked {
		if m.RemoteID == l.RemoteID {
			return m, nil
		}
		if err := m.RefusesLink(); err != nil {
			return m, err
		}
	}
	others, err := s.store.ListMappings(ctx, tandem.MappingQuery{Provider: l.Provider, RemoteID: l.RemoteID, Limit: 1})
	if err != nil {
		return tandem.Mapping{}, err
	}
	if len(others) > 0 {
		return tandem.Mapping{}, tandem.Errorf(tandem.Conflict, tandem.CodeRemoteLinked, "the remote customer is linked to another customer")
	}
	return s.starter.Link(ctx, l)
}

// linkFields says which field of a link a refusal is about.
var linkFields = map[string]string{
	tandem.CodeCustomerArchived: "entity_id",
	tandem.CodeCustomerLinked:   "entity_id",
	tandem.CodeRemoteNotFound:   "provider_entity_id",
	tandem.CodeRemoteGone:       "provider_entity_id",
	tandem.CodeRemoteLinked:     "provider_entity_id",
}

// refusedLink names the field. The customer is one here, not what the path names; and what only the provider can find
// fault with is the remote id.
func refusedLink(err error) error {
	e, ok := errors.AsType[*tandem.Error](err)
	if !ok {
		return err
	}
	var f faults
	field := linkFields[e.Code]
	_, known := answers[e.Code]
	switch {
	case e.Code == tandem.CodeCustomerNotFound:
		f.refuse("entity_id", e.Code, "this customer does not exist")
		return f.err()
	case !known && e.Class == tandem.Invalid:
		f.refuse("provider_entity_id", "invalid", "the provider does not take this id")
		return f.err()
	case field != "" && len(e.Fields) == 0:
		named := *e
		named.Fields = []tandem.FieldError{fault(field, e.Code, e.Message)}
		return &named
	}
	return err
}

func (s *Server) listMappings(c echo.Context) error {
	q, err := mappingQuery(c)
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	limit := q.Limit
	q.Limit++
	rows, err := s.store.ListMappings(ctx, q)
	if err != nil {
		return err
	}
	rows, next := cut(rows, limit, func(m tandem.Mapping) string { return m.ID })
	return c.JSON(http.StatusOK, page[mappingView]{Items: views(rows, viewMapping), Pagination: next})
}

func (s *Server) getMapping(c echo.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	m, err := s.mapping(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, viewMappingWhole(m))
}

func (s *Server) mapping(ctx context.Context, id string) (tandem.Mapping, error) {
	if !mappingID.MatchString(id) {
		return tandem.Mapping{}, noMapping()
	}
	return s.store.MappingByID(ctx, id)
}

func noMapping() error {
	return tandem.Errorf(tandem.Invalid, tandem.CodeMappingNotFound, "this mapping does not exist")
}

// rereadMapping shows the mapping as the database has it: what comes back from a workflow is what was written, without
// the times that the database sets. The wish is fulfilled: that its result cannot be read must not make it look undone.
func (s *Server) rereadMapping(ctx context.Context, c echo.Context, m tandem.Mapping) mappingView {
	stored, err := s.store.MappingByID(ctx, m.ID)
	if err != nil {
		s.logFollowUp(c, "http.reread_failed", err)
		return viewMappingWhole(m)
	}
	return viewMappingWhole(stored)
}

// updateMapping replaces the caller's own metadata. It is the one thing about a mapping that is anybody's to write.
func (s *Server) updateMapping(c echo.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	metadata, err := s.decodeMappingMetadata(c)
	if err != nil {
		return err
	}
	id := c.Param("id")
	if !mappingID.MatchString(id) {
		return noMapping()
	}
	ctx, cancel := bounded(c)
	defer cancel()
	m, err := s.store.SetMappingMetadata(ctx, id, metadata)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, viewMappingWhole(m))
}

// deleteMapping takes the link apart and keeps its history. One that has ended already is done with.
func (s *Server) deleteMapping(c echo.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	m, err := s.mapping(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	if m.State != tandem.Ended {
		err = s.starter.Unlink(ctx, tandem.Unlink{ID: newULID(), CustomerID: m.CustomerID, MappingID: m.ID})
		chaos.Point("api.after_start_before_reply")
	}
	if err != nil && tandem.CodeOf(err) != tandem.CodeMappingNotFound { // it was there: it has ended a moment ago
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
