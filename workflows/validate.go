package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
)

// What a validator refuses leaves no trace in the history, so that nonsense, sent however often, fills none.

func (o *outbound) validateChange(_ workflow.Context, ch tandem.Change) error {
	return o.validate(ch.ID, ch.CustomerID, wanted{"kind", string(ch.Kind)})
}

func (o *outbound) validateLink(_ workflow.Context, l tandem.Link) error {
	if err := validWinner("winner", l.Winner); err != nil && l.Winner != "" {
		return err
	}
	return o.validate(l.ID, l.CustomerID, wanted{"provider", l.Provider}, wanted{"remote_id", l.RemoteID})
}

func (o *outbound) validateUnlink(_ workflow.Context, u tandem.Unlink) error {
	return o.validate(u.ID, u.CustomerID, wanted{"mapping_id", u.MappingID})
}

func (o *outbound) validateResolve(_ workflow.Context, r tandem.Resolve) error {
	if len(r.Winners) == 0 {
		return refusal("winners", "required", "is required")
	}
	for _, field := range workflow.DeterministicKeys(r.Winners) {
		if err := validWinner("winner."+field, r.Winners[field]); err != nil {
			return err
		}
	}
	return o.validate(r.ID, r.CustomerID, wanted{"provider", r.Provider})
}

// wanted is a part that a wish must have.
type wanted struct{ name, value string }

func (o *outbound) validate(id, customerID string, parts ...wanted) error {
	for _, part := range append([]wanted{{"id", id}, {"customer_id", customerID}}, parts...) {
		if part.value == "" {
			return refusal(part.name, "required", "is required")
		}
	}
	if customerID != o.in.CustomerID {
		return refusal("customer_id", "invalid", fmt.Sprintf("%q was sent to the workflow of %q", customerID, o.in.CustomerID))
	}
	return nil
}

func validWinner(field string, w tandem.Winner) error {
	if w != tandem.PlatformWins && w != tandem.ProviderWins {
		return refusal(field, "invalid", "must be platform or provider")
	}
	return nil
}

// refusal is an error as an act makes it, so that the starter reads it like any other.
func refusal(field, code, message string) error {
	last := tandem.LastError{Class: tandem.Invalid, Code: tandem.CodeInvalidRequest, Message: field + " " + message}
	return temporal.NewNonRetryableApplicationError("invalid/invalid_request in "+field, string(tandem.Invalid), nil,
		last, []tandem.FieldError{{Field: field, Code: code, Message: message}})
}
