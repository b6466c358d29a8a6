package api

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

// archiveCustomer archives. What becomes of the remote customers is the caller's choice, else the installation's. A
// customer that is archived already is done with, whatever version the caller has seen: the same request may be sent
// again.
func (s *Server) archiveCustomer(c echo.Context) error {
	ch, wait, err := decodeArchive(c)
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	cust, err := s.customer(ctx, ch.CustomerID)
	if err != nil {
		return err
	}
	if cust.Status != tandem.Archived {
		if err := checkVersion(cust, ch.ExpectedVersion); err != nil {
			return err
		}
		_, err = s.starter.Change(ctx, ch)
	}
	chaos.Point("api.after_start_before_reply")
	if err != nil && tandem.CodeOf(err) != tandem.CodeCustomerArchived { // by somebody else, a moment ago
		return err
	}
	if wait != nil {
		s.settle(c, ch.CustomerID, *wait)
	}
	return c.NoContent(http.StatusNoContent)
}

func decodeArchive(c echo.Context) (ch tandem.Change, wait *time.Duration, err error) {
	ch = tandem.Change{ID: newULID(), Kind: tandem.ChangeArchive, CustomerID: c.Param("id")}
	q, err := query(c, "provider", "wait")
	if err != nil {
		return ch, nil, err
	}
	if ch.Remote, err = oneOf(q, "provider", tandem.DeleteRemote, tandem.KeepRemote); err != nil {
		return ch, nil, err
	}
	if wait, err = waitIn(q); err != nil {
		return ch, nil, err
	}
	ch.ExpectedVersion, err = ifMatch(c)
	return ch, wait, err
}
