//go:build unix && !linux

package devstack

import "testing"

// listeners has no simple source here; the Linux test speaks for both.
func listeners(*testing.T, int) []string { return nil }
