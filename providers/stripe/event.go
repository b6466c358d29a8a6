package stripe

import (
	"strings"

	"github.com/tandem-sync/tandem"
)

// The event types that say something about a customer itself. Others that begin alike (customer.subscription.created,
// customer.source.updated, …) are about something it has.
const (
	typeCreated = "customer.created"
	typeUpdated = "customer.updated"
	typeDeleted = "customer.deleted"
)

// ParseEvent implements tandem.Provider. It reads every API version, thin v2 events too, and asks only for an id:
// refusing an event would have Stripe send it again for three days.
func (p *Provider) ParseEvent(body []byte) (tandem.Event, error) {
	o, ok := readObject(body)
	id := o.text("id")
	if !ok || !isID(id) {
		return tandem.Event{}, notAnEvent("the body is no event with an id")
	}
	request := o.request()
	e := tandem.Event{
		ID: id, Type: o.text("type"), Created: o.time("created"), APIVersion: o.text("api_version"),
		Livemode: o.flag("livemode", p.livemode), Key: request.text("idempotency_key"), Payload: body,
	}
	obj := o.child("data").child("object")
	e.ObjectID = obj.text("id")
	if obj == nil { // thin: it names the object and leaves the reading of it to us
		e.ObjectID = o.child("related_object").text("id")
	}
	if e.ObjectID != "" && !isID(e.ObjectID) || e.Type != "" && !isID(e.Type) {
		return tandem.Event{}, notAnEvent("the event's type or object has no readable id")
	}
	if isCustomerEvent(e.Type) && obj.isCustomer() && e.ObjectID != "" {
		e.State = p.eventState(e, o, obj)
		e.State.RequestID = request.text("id")
	}
	return e, nil
}

func notAnEvent(message string) error {
	return &tandem.Error{Class: tandem.Invalid, Code: tandem.CodeEventInvalid, Message: message}
}

// isID reports whether a text can be an id: Stripe says at most 255 characters. Ids become workflow ids and stand in
// logs, so nothing that does not print gets in.
func isID(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func isCustomerEvent(eventType string) bool {
	return eventType == typeCreated || eventType == typeUpdated || eventType == typeDeleted
}

// isCustomer takes an object without a kind for one, as the event's type says that it is.
func (o object) isCustomer() bool {
	kind := o.text("object")
	return o != nil && (kind == "" || kind == "customer")
}

// eventState makes a remote state of a snapshot. Whether the customer is deleted is the event type's to say: the
// object of a customer.deleted is sometimes the last customer and sometimes a stub.
func (p *Provider) eventState(e tandem.Event, event, obj object) *tandem.RemoteState {
	s := p.snapshot(obj, e.ObjectID)
	s.Source = tandem.FromEvent
	s.SeenFrom, s.SeenTo = e.Created, e.Created
	s.Deleted = e.Type == typeDeleted
	s.Livemode = e.Livemode
	s.Account = event.text("account")
	s.Key = e.Key
	s.EventID, s.EventType = e.ID, e.Type
	return &s
}

// child opens a member; nil when it is missing or no object. A nil object answers every question with nothing.
func (o object) child(name string) object {
	return open(o[name])
}

// request opens the causing request. Before 2017 it was just the id; for what Stripe did by itself it is null.
func (o object) request() object {
	if o.text("request") != "" {
		return object{"id": o["request"]}
	}
	return o.child("request")
}
