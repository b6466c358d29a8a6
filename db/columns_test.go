package db

import (
	"testing"

	"github.com/lib/pq"
	"pgregory.net/rapid"
)

func TestTextArray(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOf(rapid.OneOf(rapid.String(), rapid.StringMatching(`[\\"{},a ]*`), rapid.SampledFrom([]string{"", "NULL", `\`}))).Draw(t, "texts")
		var back pq.StringArray
		if err := back.Scan(textArray(texts)); err != nil || len(back) != len(texts) {
			t.Fatalf("%v came back as %v: %v", texts, back, err)
		}
		for i := range texts {
			if back[i] != texts[i] {
				t.Fatalf("%q came back as %q", texts[i], back[i])
			}
		}
	})
}
