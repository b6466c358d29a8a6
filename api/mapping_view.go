package api

import (
	"time"

	"github.com/tandem-sync/tandem"
)

// mappingView is a mapping on the wire. Base and PendingCall are for whoever looks at one mapping to find out what goes
// on; a list leaves them out.
type mappingView struct {
	ID               string                 `json:"id"`
	EntityID         string                 `json:"entity_id"`
	EntityType       string                 `json:"entity_type"`
	ProviderType     string                 `json:"provider_type"`
	ProviderEntityID string                 `json:"provider_entity_id,omitempty"`
	State            tandem.MappingState    `json:"state"`
	Conflicts        []tandem.FieldConflict `json:"conflicts,omitempty"`
	LastError        *tandem.LastError      `json:"last_error,omitempty"`
	Metadata         map[string]string      `json:"metadata"`
	Base             *tandem.Fields         `json:"base,omitempty"`
	PendingCall      *callView              `json:"pending_call,omitempty"`
	AsOf             *time.Time             `json:"as_of,omitempty"`
	SyncedAt         *time.Time             `json:"synced_at,omitempty"`
	Version          int64                  `json:"version"`
	CreatedAt        time.Time              `json:"created_at"`
	UpdatedAt        time.Time              `json:"updated_at"`
	ArchivedAt       *time.Time             `json:"archived_at,omitempty"`
	ArchivedReason   tandem.ArchivedReason  `json:"archived_reason,omitempty"`
}

// callView is the provider call that was decided on and has no answer yet. Its body and key stay inside.
type callView struct {
	Action tandem.Action `json:"action"`
	Since  time.Time     `json:"since"`
}

func viewMapping(m tandem.Mapping) mappingView {
	v := mappingView{
		ID: m.ID, EntityID: m.CustomerID, EntityType: tandem.EntityCustomer, ProviderType: m.Provider,
		ProviderEntityID: m.RemoteID, State: m.State, Conflicts: m.Conflicts, LastError: m.LastError,
		Metadata: object(m.Metadata), SyncedAt: utc(m.SyncedAt), Version: m.Version, CreatedAt: m.CreatedAt.UTC(),
		UpdatedAt: m.UpdatedAt.UTC(), ArchivedAt: utc(m.ArchivedAt), ArchivedReason: m.ArchivedReason,
	}
	if !m.AsOf.IsZero() {
		v.AsOf = utc(&m.AsOf)
	}
	return v
}

func viewMappingWhole(m tandem.Mapping) mappingView {
	v := viewMapping(m)
	v.Base = m.Base
	if m.Claim != nil {
		v.PendingCall = &callView{Action: m.Claim.Action, Since: m.Claim.At.UTC()}
	}
	return v
}
