package stripe

import (
	"encoding/json"
	"net/http"

	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"
	"github.com/tidwall/gjson"

	"github.com/tandem-sync/tandem"
)

// page makes a call that is answered with a list and hands its items, as they were sent, to each; more says that another
// page follows the last of them. What it reads is what the transport kept, as stripe-go keeps no items of a list as sent.
// It is checked once, as a whole: a walk over whole books spends its time in such checks.
func (p *Provider) page(
	c *call, path string, query *form.Values, params *stripego.Params, each func(item gjson.Result) error,
) (more bool, err error) {
	var a answer
	if err := c.check(p.backend.CallRaw(http.MethodGet, path, p.key, query, params, &a)); err != nil {
		return false, err
	}
	if !json.Valid(c.page) {
		return false, errUnreadable
	}
	list := open(string(c.page))
	data := gjson.Parse(list["data"])
	if !data.IsArray() || !isFlag(list["has_more"]) {
		return false, errUnreadable
	}
	some := false
	data.ForEach(func(_, item gjson.Result) bool {
		some = true
		err = each(item)
		return err == nil
	})
	return err == nil && some && list.flag("has_more", false), err
}

// isFlag takes a flag that is missing for false. Anything else there could hide that pages follow.
func isFlag(raw string) bool { return raw == "" || raw == "true" || raw == "false" }

// pageLimit asks for the most that Stripe gives unless told otherwise.
func pageLimit(n int) (int64, error) {
	if n == 0 {
		n = 100
	}
	if n < 1 || n > 100 {
		return 0, tandem.Errorf(tandem.Bug, CodeBadCall, "a page has 1 to 100 items, not %d", n)
	}
	return int64(n), nil
}
