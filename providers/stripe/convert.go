package stripe

import (
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/tandem-sync/tandem"
)

// The synced fields by the names that RemoteState.Absent uses.
const (
	fieldName     = "name"
	fieldEmail    = "email"
	fieldPhone    = "phone"
	fieldAddress  = "address"
	fieldMetadata = "metadata"
)

// object is a JSON object, opened one level deep: its members as JSON texts. It tells a member that is null from one that
// is missing, and a member of an unexpected shape spoils only itself.
type object map[string]string

func readObject(raw []byte) (object, bool) {
	if !json.Valid(raw) {
		return nil, false
	}
	o := open(string(raw))
	return o, o != nil
}

// open reads a text that is known to be valid JSON; nil when it is no object. Of members with one name the last counts,
// as it does in Postgres. It is gjson's, which copies nothing: opening a webhook level by level with encoding/json, which
// checks and copies each level once more, took a quarter of what a webhook costs.
func open(raw string) object {
	r := gjson.Parse(raw)
	if !r.IsObject() {
		return nil
	}
	o := make(object, min(len(raw)/32, 32)) // a guess that spares a customer three growths of the map
	o.fill(r)
	return o
}

func (o object) fill(r gjson.Result) {
	r.ForEach(func(key, value gjson.Result) bool {
		o[strings.ToValidUTF8(key.Str, "\uFFFD")] = value.Raw
		return true
	})
}

// text returns a member that is a string, "" otherwise.
func (o object) text(name string) string {
	s, _ := o.field(name)
	return s
}

// field returns a string member; null is the empty string. False: missing, or no string.
func (o object) field(name string) (string, bool) {
	raw, ok := o[name]
	if !ok {
		return "", false
	}
	if plain(raw) {
		return raw[1 : len(raw)-1], true
	}
	var s *string
	if json.Unmarshal([]byte(raw), &s) != nil {
		return "", false
	}
	return value(s), true
}

// plain reports whether a JSON text, known to be valid, stands there as it is meant. Nearly all do, and every webhook
// has a dozen that would each cost a decoder.
func plain(raw string) bool {
	return len(raw) >= 2 && raw[0] == '"' && strings.IndexByte(raw, '\\') < 0 && utf8.ValidString(raw)
}

func (o object) flag(name string, otherwise bool) bool {
	switch o[name] {
	case "true":
		return true
	case "false":
		return false
	}
	var b *bool
	if json.Unmarshal([]byte(o[name]), &b) != nil || b == nil {
		return otherwise
	}
	return *b
}

// maxUnix is the end of the year 9999, the last that RFC 3339 and Postgres can both write.
const maxUnix = 253402300799

// time returns a member in unix seconds or RFC 3339 (API v2), the zero time otherwise.
func (o object) time(name string) time.Time {
	seconds, err := strconv.ParseFloat(o[name], 64)
	if err == nil || json.Unmarshal([]byte(o[name]), &seconds) == nil { // null is a number to a decoder
		if seconds >= 1 && seconds <= maxUnix {
			return time.Unix(int64(seconds), 0).UTC()
		}
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, o.text(name))
	if err != nil || t.Unix() < 1 || t.Unix() > maxUnix {
		return time.Time{}
	}
	return t.UTC()
}

// stateOf makes a remote state of the answer to a call.
func (p *Provider) stateOf(c *call, obj object, id string) tandem.RemoteState {
	s := p.snapshot(obj, id)
	s.Source = tandem.FromResponse
	switch c.op {
	case opFetch:
		s.Source = tandem.FromFetch
	case opList:
		s.Source = tandem.FromList
	}
	s.SeenFrom, s.SeenTo = c.seen(time.Now())
	s.Deleted = obj.flag("deleted", false)
	s.Key = c.key
	s.Replayed = c.header.Get("Idempotent-Replayed") == "true"
	s.RequestID = c.requestID()
	return s
}

// clockTolerance allows for Stripe's machines not agreeing on the second.
const clockTolerance = time.Second

// seen says when an answer was true, on Stripe's clock: at the Date of the answer at the latest, and not earlier than
// the call took. Both are whole seconds, as is everything Stripe says about time.
func (c *call) seen(now time.Time) (from, to time.Time) {
	to, err := http.ParseTime(c.header.Get("Date"))
	if err != nil {
		to = now
	}
	to = to.UTC().Truncate(time.Second)
	took := time.Duration(math.Ceil(c.took.Seconds())) * time.Second
	return to.Add(-took - clockTolerance), to
}

// snapshot reads what every way of seeing a customer has in common.
func (p *Provider) snapshot(obj object, id string) tandem.RemoteState {
	s := tandem.RemoteState{
		Provider: p.name, RemoteID: id,
		Created: obj.time("created"), Livemode: obj.flag("livemode", p.livemode),
	}
	known := func(name string, ok bool) {
		if !ok {
			s.Absent = append(s.Absent, name)
		}
	}
	var ok bool
	s.Fields.Name, ok = obj.field(fieldName)
	known(fieldName, ok)
	s.Fields.Email, ok = obj.field(fieldEmail)
	known(fieldEmail, ok)
	s.Fields.Phone, ok = obj.field(fieldPhone)
	known(fieldPhone, ok)
	s.Fields.Address, ok = obj.address()
	known(fieldAddress, ok)
	s.Fields.Metadata, s.Fields.Reserved, ok = obj.metadata()
	known(fieldMetadata, ok)
	return s
}

func (o object) address() (tandem.Address, bool) {
	raw, ok := o[fieldAddress]
	if !ok {
		return tandem.Address{}, false
	}
	if raw == "null" {
		return tandem.Address{}, true
	}
	parts := open(raw)
	if parts == nil {
		return tandem.Address{}, false
	}
	var a tandem.Address
	for name, part := range map[string]*string{
		"line1": &a.Line1, "line2": &a.Line2, "city": &a.City, "state": &a.State, "postal_code": &a.PostalCode, "country": &a.Country,
	} {
		if _, carried := parts[name]; !carried {
			continue
		}
		if *part, ok = parts.field(name); !ok {
			return tandem.Address{}, false
		}
	}
	return a, true
}

// value is the text of a member. NUL, which JSON can write and Postgres cannot store, becomes the replacement character:
// one strange name must not hold up everything it arrives with.
func value(s *string) string {
	if s == nil {
		return ""
	}
	return strings.ReplaceAll(*s, "\x00", "\uFFFD")
}

// metadata splits what is the user's from what is ours. Reserved is never nil when the payload carries metadata: no
// mark of ours is a statement too.
func (o object) metadata() (user, reserved map[string]string, ok bool) {
	raw, ok := o[fieldMetadata]
	all := open(raw)
	if !ok || all == nil && raw != "null" {
		return nil, nil, false
	}
	user, reserved = map[string]string{}, map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		v, ok := all.field(key)
		key = value(&key)
		switch {
		case !ok:
			return nil, nil, false
		case v == "": // as good as not there
		case tandem.IsReserved(key):
			reserved[key] = v
		default:
			user[key] = v
		}
	}
	return user, reserved, true
}
