package db

import (
	"context"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/tandem-sync/tandem"
)

// columns are the parameters of one set-based statement: one text array per column.
type columns struct {
	rows int
	room int // how many rows there may be, where that is known
	cols [][]string
}

func newColumns(n int) *columns { return &columns{cols: make([][]string, n)} }

// upTo has the first row make room for so many: grown by doubling, a page of a list is moved more often than written.
func (c *columns) upTo(rows int) *columns {
	c.room = rows
	return c
}

func (c *columns) add(values ...string) {
	for i, v := range values {
		if c.cols[i] == nil {
			c.cols[i] = make([]string, 0, max(c.room, 1))
		}
		c.cols[i] = append(c.cols[i], v)
	}
	c.rows++
}

// exec runs the statement unless there are no rows. Every row must count: one that did not means that a guard in the
// statement refused it, and the transaction starts over.
func (c *columns) exec(ctx context.Context, tx *sqlx.Tx, statement string) error {
	n, err := c.run(ctx, tx, statement)
	if err == nil && n != int64(c.rows) {
		return &tandem.Error{Class: tandem.Transient, Code: codeRace, Message: "a row changed while it was being written"}
	}
	return err
}

func (c *columns) execAtMost(ctx context.Context, tx *sqlx.Tx, statement string) error {
	_, err := c.run(ctx, tx, statement)
	return err
}

func (c *columns) run(ctx context.Context, tx *sqlx.Tx, statement string) (int64, error) {
	if c.rows == 0 {
		return 0, nil
	}
	result, err := tx.ExecContext(ctx, statement, c.args()...)
	if err != nil {
		return 0, translate(err)
	}
	return result.RowsAffected()
}

func (c *columns) args() []any {
	args := make([]any, len(c.cols))
	for i, col := range c.cols {
		args[i] = textArray(col)
	}
	return args
}

// textArray writes texts as Postgres reads an array of them. It is pq.Array with one allocation instead of one per
// doubling: rows travel in these, whole webhook bodies among them.
func textArray(texts []string) string {
	size := len("{}")
	for _, text := range texts {
		size += len(text) + len(text)/8 + len(`"",`) // JSON has that many quotes
	}
	var out strings.Builder
	out.Grow(size)
	out.WriteByte('{')
	for i, text := range texts {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteByte('"')
		written := 0
		for at := range len(text) {
			if text[at] == '"' || text[at] == '\\' {
				out.WriteString(text[written:at])
				out.WriteByte('\\')
				written = at
			}
		}
		out.WriteString(text[written:])
		out.WriteByte('"')
	}
	out.WriteByte('}')
	return out.String()
}
