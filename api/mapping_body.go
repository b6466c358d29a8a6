package api

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
)

// maxRemoteID is more than any provider's ids have.
const maxRemoteID = 255

// mappingReadOnly are the fields of a mapping that callers know and cannot set.
var mappingReadOnly = []string{
	"id", "state", "conflicts", "last_error", "base", "pending_call", "as_of", "synced_at", "version", "created_at",
	"updated_at", "archived_at", "archived_reason",
}

// The limits of a mapping's own metadata are those of a customer's: whoever knows the ones knows the others.
const (
	maxMappingKeys  = 50
	maxMappingKey   = 40
	maxMappingValue = 500
)

// decodeLink reads a link, and its customer, so that all faults are named in one round.
func (s *Server) decodeLink(ctx context.Context, c echo.Context) (tandem.Link, tandem.Customer, error) {
	l := tandem.Link{ID: newULID()}
	var entityType, winner string
	f, err := form{
		noun: "a link",
		texts: map[string]*string{
			"entity_type": &entityType, "entity_id": &l.CustomerID, "provider_type": &l.Provider,
			"provider_entity_id": &l.RemoteID, "winner": &winner,
		},
		readOnly: mappingReadOnly,
	}.read(c)
	if err != nil {
		return l, tandem.Customer{}, err
	}
	if entityType != "" {
		f.word("entity_type", entityType, tandem.EntityCustomer)
	}
	cust, err := s.linkable(ctx, &f, l.CustomerID)
	if err != nil {
		return l, cust, err
	}
	f.knownProvider("provider_type", l.Provider, s.providers)
	f.remoteID("provider_entity_id", l.RemoteID)
	if winner != "" {
		f.word("winner", winner, string(tandem.PlatformWins), string(tandem.ProviderWins))
	}
	l.Winner = tandem.Winner(winner)
	return l, cust, f.err()
}

// linkable reads the customer of a link. One that does not exist is a fault of the body, not of the path.
func (s *Server) linkable(ctx context.Context, f *faults, id string) (tandem.Customer, error) {
	switch {
	case len(f.shape) > 0: // the answer is about those alone
		return tandem.Customer{}, nil
	case id == "":
		f.required("entity_id")
		return tandem.Customer{}, nil
	}
	cust, err := s.customer(ctx, id)
	if tandem.CodeOf(err) == tandem.CodeCustomerNotFound {
		f.refuse("entity_id", tandem.CodeCustomerNotFound, "this customer does not exist")
		err = nil
	}
	return cust, err
}

// remoteID is opaque, but it becomes part of a URL and of a workflow's id: nothing that cannot be seen.
func (f *faults) remoteID(field, id string) {
	switch {
	case id == "":
		f.required(field)
	case utf8.RuneCountInString(id) > maxRemoteID:
		f.refuse(field, "too_long", "must have at most 255 characters")
	case strings.ContainsFunc(id, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		f.refuse(field, "invalid", "must not contain blanks or control characters")
	}
}

// decodeMappingMetadata reads what a caller wants to keep on a mapping: all of it, so that what is left out is removed.
func (s *Server) decodeMappingMetadata(c echo.Context) (map[string]string, error) {
	var metadata map[string]string
	f, err := form{
		noun: "a mapping", maps: map[string]*map[string]string{fieldMetadata: &metadata},
		readOnly: append([]string{"entity_id", "entity_type", "provider_type", "provider_entity_id"}, mappingReadOnly...),
	}.read(c)
	if err != nil {
		return nil, err
	}
	if metadata == nil {
		f.required(fieldMetadata)
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		f.mappingKey(key, s.providers)
		f.mappingLengths(key, metadata[key])
	}
	maps.DeleteFunc(metadata, func(_, v string) bool { return v == "" }) // empty and absent are the same value
	if len(metadata) > maxMappingKeys {
		f.refuse(fieldMetadata, "too_many", "must have at most 50 keys")
	}
	return metadata, f.err()
}

func (f *faults) mappingKey(key string, providers tandem.Providers) {
	switch {
	case key == "":
		f.refuse(fieldMetadata, "invalid", "a metadata key must not be empty")
	case isMappingOwn(key, providers):
		f.refuse(metadataField(key), "reserved", "this key belongs to Tandem")
	case strings.ContainsRune(key, 0) || strings.ContainsRune(key, utf8.RuneError):
		f.refuse(metadataField(key), "invalid_characters", "must be valid UTF-8 without the NUL character")
	}
}

func (f *faults) mappingLengths(key, value string) {
	switch {
	case utf8.RuneCountInString(key) > maxMappingKey:
		f.refuse(metadataField(key), "too_long", "a metadata key must have at most 40 characters")
	case utf8.RuneCountInString(value) > maxMappingValue:
		f.refuse(metadataField(key), "too_long", "must have at most 500 characters")
	}
}

// isMappingOwn reports whether Tandem itself writes this key. The store keeps them in any case; a caller who tries to
// set one deserves to be told.
func isMappingOwn(key string, providers tandem.Providers) bool {
	return slices.ContainsFunc(providers, func(p tandem.Provider) bool {
		return slices.Contains(tandem.OwnMetadata(p.Name()), key)
	})
}
