package stripetest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

type searchBody struct {
	Object     string  `json:"object"`
	Data       []any   `json:"data"`
	HasMore    bool    `json:"has_more"`
	NextPage   *string `json:"next_page"`
	TotalCount *int    `json:"total_count,omitempty"`
	URL        string  `json:"url"`
}

// clause is field:'value', exact match: the one operator the stand-in knows.
type clause struct{ field, metadataKey, value string }

var (
	clauseShape = regexp.MustCompile(`^\s*(?:(email|name|phone)|metadata\[(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\])\s*:\s*` +
		`(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")`)
	joinShape = regexp.MustCompile(`^\s+(AND|OR)\s+`)
	escape    = regexp.MustCompile(`\\(.)`)
)

// parseQuery reads clauses joined by AND or by OR, never both.
func parseQuery(query string) (clauses []clause, any bool, err *apiError) {
	broken := badRequest("", "query", "The search query is invalid, or uses syntax the stand-in does not know: "+query)
	join := ""
	for rest := query; ; {
		m := clauseShape.FindStringSubmatch(rest)
		if m == nil {
			return nil, false, broken
		}
		clauses = append(clauses, clause{field: m[1], metadataKey: unescape(m[2] + m[3]), value: unescape(m[4] + m[5])})
		rest = rest[len(m[0]):]
		if strings.TrimSpace(rest) == "" {
			return clauses, join == "OR", nil
		}
		j := joinShape.FindStringSubmatch(rest)
		if j == nil || join != "" && join != j[1] || len(clauses) == 10 {
			return nil, false, broken
		}
		join, rest = j[1], rest[len(j[0]):]
	}
}

func unescape(s string) string { return escape.ReplaceAllString(s, "$1") }

func (cl clause) matches(c *Customer) bool {
	switch cl.field {
	case "email":
		return strings.EqualFold(c.Email, cl.value)
	case "name":
		return strings.EqualFold(c.Name, cl.value)
	case "phone":
		return c.Phone == cl.value
	}
	v, ok := c.Metadata[cl.metadataKey]
	return ok && v == cl.value
}

// searchCustomers looks at the states of SearchLag ago. Its page tokens are
// offsets, so they shift under writes, as Stripe's may.
func (s *Server) searchCustomers(c *call) (any, *apiError) {
	clauses, anyOf, err := parseQuery(c.form.text0("query"))
	if err != nil {
		return nil, err
	}
	start := 0
	if page, sent := c.form.get("page"); sent {
		n, bad := strconv.Atoi(page)
		if bad != nil || n < 0 {
			return nil, badRequest("", "page", "Invalid page: "+page)
		}
		start = n
	}
	found := s.search(clauses, anyOf)
	body := searchBody{Object: "search_result", Data: []any{}, URL: c.path}
	end := min(start+limitOf(c.form), len(found))
	for _, cus := range found[min(start, end):end] {
		body.Data = append(body.Data, cus)
	}
	if body.HasMore = end < len(found); body.HasMore {
		next := strconv.Itoa(end)
		body.NextPage = &next
	}
	if slices.Contains(c.form.kid("expand").list(), "total_count") {
		total := len(found)
		body.TotalCount = &total
	}
	return body, nil
}

// search returns matches newest first; the lock is held.
func (s *Server) search(clauses []clause, anyOf bool) []*Customer {
	at := s.now().Add(-s.settings.SearchLag)
	var found []*Customer
	for _, id := range slices.Backward(s.order) {
		state := s.customers[id].seen(at)
		if state == nil {
			continue
		}
		hits := 0
		for _, cl := range clauses {
			if cl.matches(state) {
				hits++
			}
		}
		if hits == len(clauses) || anyOf && hits > 0 {
			found = append(found, state)
		}
	}
	return found
}
