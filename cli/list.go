package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
)

const (
	defaultLimit = 20
	pageLimit    = 100 // the API's
)

// filters are the flags of a list. An empty one filters nothing.
type filters struct {
	values map[string]*string // by the name of the API's parameter
	limit  int
	cursor string
}

// addTo defines the flags of a list: the API's parameter, the flag, what it means, and the words it takes, if they are few.
func (f *filters) addTo(c *cobra.Command, defs ...filter) *cobra.Command {
	f.values = map[string]*string{}
	for _, d := range defs {
		f.values[d.parameter] = c.Flags().String(d.flag, "", d.meaning)
		if len(d.words) > 0 {
			complete(c, d.flag, d.words...)
		}
	}
	c.Flags().IntVar(&f.limit, "limit", defaultLimit, "how many at most")
	c.Flags().StringVar(&f.cursor, "cursor", "", "go on where a former list ended")
	return c
}

type filter struct {
	parameter, flag, meaning string
	words                    []string
}

func (f *filters) query() url.Values {
	q := url.Values{}
	for name, v := range f.values {
		if *v != "" {
			q.Set(name, *v)
		}
	}
	return q
}

// answer is what every list of the API looks like.
type answer struct {
	Items      []json.RawMessage `json:"items"`
	Pagination struct {
		Limit      int    `json:"limit"`
		NextCursor string `json:"next_cursor,omitempty"`
	} `json:"pagination"`
}

// pages hands over page after page until limit is reached or the list ends, and returns where to go on.
func (c *call) pages(path string, q url.Values, limit int, cursor string, take func(answer) error) (next string, err error) {
	if limit < 1 {
		return "", usage("--limit must be 1 or more")
	}
	for next = cursor; limit > 0; {
		q.Set("limit", strconv.Itoa(min(limit, pageLimit)))
		if q.Del("cursor"); next != "" {
			q.Set("cursor", next)
		}
		var page answer
		if _, err := c.get(c.ctx, path, q, &page); err != nil {
			return next, err
		}
		if err := take(page); err != nil {
			return next, err
		}
		limit -= len(page.Items)
		if next = page.Pagination.NextCursor; next == "" || len(page.Items) == 0 {
			return next, nil
		}
	}
	return next, nil
}

// show prints a list, as a table or as one answer of the API.
func show[T any](c *call, path string, f *filters, header []string, row func(T) []string) error {
	var all answer
	all.Items = []json.RawMessage{}
	next, err := c.pages(path, f.query(), f.limit, f.cursor, func(page answer) error {
		all.Items = append(all.Items, page.Items...)
		return nil
	})
	if err != nil {
		return err
	}
	if all.Pagination.Limit, all.Pagination.NextCursor = f.limit, next; c.json() {
		return c.encode(all)
	}
	rows := make([][]string, len(all.Items))
	for i, raw := range all.Items {
		var item T
		if err := json.Unmarshal(raw, &item); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		rows[i] = row(item)
	}
	if err := c.table(header, rows); err != nil {
		return err
	}
	if next != "" {
		c.hint("There are more: --cursor %s", clean(next))
	}
	return nil
}

// encode leaves text as the API wrote it; encoding/json alone would escape it for web pages.
func (c *call) encode(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return c.raw(b.Bytes())
}
