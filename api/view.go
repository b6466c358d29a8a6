package api

import (
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
)

// customerView is a customer on the wire: flat, and without the fields that are empty, which a caller need not tell
// from absent. metadata is always an object.
type customerView struct {
	ID                string              `json:"id"`
	ExternalID        string              `json:"external_id,omitempty"`
	Name              string              `json:"name,omitempty"`
	Email             string              `json:"email,omitempty"`
	Phone             string              `json:"phone,omitempty"`
	AddressLine1      string              `json:"address_line1,omitempty"`
	AddressLine2      string              `json:"address_line2,omitempty"`
	AddressCity       string              `json:"address_city,omitempty"`
	AddressState      string              `json:"address_state,omitempty"`
	AddressPostalCode string              `json:"address_postal_code,omitempty"`
	AddressCountry    string              `json:"address_country,omitempty"`
	Metadata          map[string]string   `json:"metadata"`
	Status            tandem.Status       `json:"status"`
	Version           int64               `json:"version"`
	CreatedAt         time.Time           `json:"created_at"`
	UpdatedAt         time.Time           `json:"updated_at"`
	ArchivedAt        *time.Time          `json:"archived_at,omitempty"`
	ProviderInfo      map[string]infoView `json:"provider_info,omitzero"` // nil: not asked for
}

// infoView is what provider_info says of one provider.
type infoView struct {
	ProviderEntityID string                 `json:"provider_entity_id,omitempty"`
	State            tandem.MappingState    `json:"state"`
	LastError        *tandem.LastError      `json:"last_error,omitempty"`
	Conflicts        []tandem.FieldConflict `json:"conflicts,omitempty"`
	SyncedAt         *time.Time             `json:"synced_at,omitempty"`
	Metadata         map[string]string      `json:"metadata"`
	CreatedAt        time.Time              `json:"created_at"`
	UpdatedAt        time.Time              `json:"updated_at"`
	ArchivedAt       *time.Time             `json:"archived_at,omitempty"`
	ArchivedReason   tandem.ArchivedReason  `json:"archived_reason,omitempty"`
}

func viewCustomer(c tandem.Customer) customerView {
	return customerView{
		ID: c.ID, ExternalID: c.ExternalID, Name: c.Name, Email: c.Email, Phone: c.Phone,
		AddressLine1: c.Address.Line1, AddressLine2: c.Address.Line2, AddressCity: c.Address.City,
		AddressState: c.Address.State, AddressPostalCode: c.Address.PostalCode, AddressCountry: c.Address.Country,
		Metadata: object(c.Metadata), Status: c.Status, Version: c.Version,
		CreatedAt: c.CreatedAt.UTC(), UpdatedAt: c.UpdatedAt.UTC(), ArchivedAt: utc(c.ArchivedAt),
	}
}

func viewInfo(m tandem.Mapping) infoView {
	return infoView{
		ProviderEntityID: m.RemoteID, State: m.State, LastError: m.LastError, Conflicts: m.Conflicts,
		SyncedAt: utc(m.SyncedAt), Metadata: object(m.Metadata), CreatedAt: m.CreatedAt.UTC(), UpdatedAt: m.UpdatedAt.UTC(),
		ArchivedAt: utc(m.ArchivedAt), ArchivedReason: m.ArchivedReason,
	}
}

// viewCustomers gives every customer its provider_info.
func viewCustomers(customers []tandem.Customer, mappings []tandem.Mapping) []customerView {
	info := make(map[string]map[string]infoView, len(customers))
	for _, c := range customers {
		info[c.ID] = map[string]infoView{}
	}
	for _, m := range mappings {
		info[m.CustomerID][m.Provider] = viewInfo(m)
	}
	views := make([]customerView, len(customers))
	for i, c := range customers {
		views[i] = viewCustomer(c)
		views[i].ProviderInfo = info[c.ID]
	}
	return views
}

// send answers with one customer; its ETag is what If-Match takes.
func send(c echo.Context, status int, v customerView) error {
	c.Response().Header().Set("ETag", strconv.Quote(strconv.FormatInt(v.Version, 10)))
	return c.JSON(status, v)
}

func object(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
